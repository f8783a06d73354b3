"""What a check found, and the list of all that can be found: how bad each is and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from litepose_nas.untrusted.display import clean

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)


class DataFinding(NamedTuple):
    """One kind of fault in one split, with every record that has it."""

    severity: str  # error: training would stop; warning: it would learn or score something wrong; note: good to know
    code: str
    split: str
    message: str
    remedy: str
    examples: tuple[str, ...]  # the name of each record, and what is wrong with it
    people: tuple[int, ...] = ()  # their places in the split's table, where a drawing would show the fault


class Kind(NamedTuple):
    severity: str
    message: str  # begins with what is counted
    remedy: str


KINDS: Mapping[str, Kind] = {
    # The file as a whole.
    "unreadable": Kind(ERROR, "annotation files that cannot be read", "mend or replace the file"),
    "no-category": Kind(
        ERROR, "files without one clear category with keypoints", "name the joints in `categories`: [{..., keypoints}]"
    ),
    "bad-skeleton": Kind(ERROR, "skeletons that make no sense", "mend the names, limbs or sigmas"),
    "no-people": Kind(ERROR, "splits without a person with labelled joints", "give annotations with keypoints"),
    # Entries of the list of images.
    "bad-image": Kind(
        ERROR, "image entries that are not complete", "give each an id, file_name, width and height as whole numbers"
    ),
    "duplicate-image": Kind(ERROR, "images whose id is used before", "keep one entry for each id"),
    "missing-file": Kind(ERROR, "images without a file", "check the picture folder, or remove them from the list"),
    "file-twice": Kind(
        WARNING, "images that name a file listed before", "put all annotations of a picture on one image"
    ),
    "unlisted-files": Kind(NOTE, "files in the folder that the list does not name", "nothing, if you know them"),
    "empty-pictures": Kind(NOTE, "pictures without a labelled person", "nothing: they teach where nobody stands"),
    # Files.
    "broken-picture": Kind(ERROR, "pictures that cannot be decoded", "fetch them again, or remove them from the list"),
    "size-mismatch": Kind(
        ERROR, "pictures of another size than their annotations", "use the pictures that were annotated"
    ),
    "turned-picture": Kind(
        ERROR,
        "pictures that were annotated upright, but are stored lying",
        "store their pixels upright and remove the camera's note (EXIF orientation)",
    ),
    "same-picture": Kind(NOTE, "pictures with the bytes of another of the split", "keep one, unless meant"),
    "split-overlap": Kind(
        WARNING, "pictures of this split that training sees too", "remove them from one: figures on val would flatter"
    ),
    # Annotations.
    "bad-annotation": Kind(ERROR, "annotations that are no objects", "remove them"),
    "bad-id": Kind(ERROR, "annotations without a whole number as id", "number them"),
    "duplicate-annotation": Kind(ERROR, "annotations whose id is used before", "number them anew"),
    "person-twice": Kind(WARNING, "annotations with the very joints of another in the picture", "keep one of each"),
    "unknown-image": Kind(ERROR, "annotations of images that are not listed", "list the images, or remove them"),
    "other-category": Kind(NOTE, "annotations of other categories", "nothing: they are passed over"),
    "keypoint-count": Kind(
        ERROR, "annotations with a wrong number of keypoints", "give x, y and a flag for each joint of the category"
    ),
    "keypoint-type": Kind(ERROR, "annotations with something other than numbers as keypoints", "mend or remove them"),
    "not-finite": Kind(ERROR, "annotations with numbers that are not finite, or absurd", "mend or remove them"),
    "bad-flag": Kind(
        ERROR, "annotations with a flag other than 0, 1, 2", "0 means not labelled, 1 hidden, 2 seen: mend them"
    ),
    "no-box": Kind(ERROR, "annotations without a box of four numbers", "add `bbox`: left, top, width, height"),
    "negative-box": Kind(ERROR, "boxes of negative width or height", "write left, top, width, height; not two corners"),
    "bad-area": Kind(ERROR, "areas that are no positive number", "mend or remove them: an area follows from the box"),
    "filled-area": Kind(
        NOTE, "annotations with no area, or zero: 0.53 of the box is used", "nothing, or give areas: AP depends on them"
    ),
    "bad-segmentation": Kind(
        ERROR, "crowds or annotations without joints whose outline does not fit", "mend their polygons or run lengths"
    ),
    # Places.
    "zero-box": Kind(
        WARNING, "annotations with a box of no width or height", "draw their boxes: nobody is cut from these"
    ),
    "box-outside": Kind(WARNING, "boxes that lie wholly outside the picture", "mend them, or the picture's size"),
    "box-over-edge": Kind(NOTE, "boxes that reach over the edge of the picture", "nothing: what is outside is blank"),
    "point-outside": Kind(
        WARNING,
        "annotations with labelled joints outside the picture",
        "give joints that are not in the picture flag 0",
    ),
    "point-off-box": Kind(
        NOTE,
        "annotations with a joint far outside their box",
        "nothing, if few; else see whether boxes belong to joints",
    ),
    "point-at-origin": Kind(
        WARNING, "annotations with labelled joints at 0, 0", "give joints that nobody placed flag 0"
    ),
    "large-area": Kind(WARNING, "annotations with an area beyond their box", "mend the areas: AP would be lenient"),
    # Left and right.
    "sides-mixed": Kind(
        NOTE, "annotations in which left and right seem exchanged in a part of the body", "look at them in the drawings"
    ),
    "sides-inverted": Kind(
        WARNING, "pairs whose left lies where the others have their right", "exchange the two names, or their numbers"
    ),
    "viewer-sides": Kind(
        WARNING,
        "faces whose left eye is at the left of the picture",
        "left is the person's own left, at the right of the picture in a face seen from the front: exchange the sides",
    ),
    "unpaired-sides": Kind(
        WARNING,
        "joints of one side that a mirrored picture does not exchange",
        "name partners left_X and right_X, or give flip_pairs",
    ),
    "wrong-pair": Kind(
        WARNING, "flip pairs that are not mirror images of each other", "mend the names or flip_pairs; see the drawings"
    ),
    "many-joints": Kind(NOTE, "skeletons with too many joints to compare their pairs", "look at the drawings"),
    # Sigmas.
    "equal-sigmas": Kind(
        NOTE, "sigmas that are all alike", "give one for each joint if AP is to be compared with that of others"
    ),
    "odd-sigmas": Kind(
        WARNING,
        "sigmas outside 0.01 to 0.2",
        "measure how far the labels of two annotators differ, over the root of the area",
    ),
    "uneven-sigmas": Kind(
        NOTE, "pairs whose left and right sigmas differ", "give both the same, unless they are published so"
    ),
}


def finding(
    code: str, split: str, examples: Iterable[str], severity: str | None = None, people: Sequence[int] = ()
) -> list[DataFinding]:
    """The finding of one kind, or nothing where there is no example."""
    named = tuple(map(clean, examples))
    if not named:
        return []
    kind = KINDS[code]
    return [DataFinding(severity or kind.severity, code, split, kind.message, kind.remedy, named, tuple(people))]
