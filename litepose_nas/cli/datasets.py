"""litepose-nas data stats, convert and split: datasets counted, rewritten, divided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json, Seed

if TYPE_CHECKING:
    from litepose_nas.data.convert import WrittenSplit

What = Annotated[str, typer.Argument(help="A dataset YAML, a COCO JSON, a folder of `data toy`, or coco, mpii:DIR ...")]


def stats(
    source: What,
    split: Annotated[str | None, typer.Option(help="train, val or test; all there are if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Count pictures, people, joints, box sizes and areas; no picture is read.

    Example: litepose-nas data stats people.yaml
    """
    from litepose_nas.data.dataset import subjects
    from litepose_nas.data.statistics import categories, crowding, statistics_of
    from litepose_nas.synthetic.dataset import open_or_draw

    opened = open_or_draw(source)
    names = [split] if split else [name for name in opened.splits if name != "test"] or list(opened.splits)
    found: dict[str, dict[str, Any]] = {}
    who: dict[str, str] = {}
    for name in names:
        dataset = opened.read(name, pictures=False)
        found[name] = statistics_of(dataset)
        who[name] = subjects(dataset.category)
        if dataset.category != "person" and (counts := categories(opened.document(name, pictures=False))):
            found[name]["categories"] = counts
        if opened.split(name).layout == "crowdpose" and (crowded := crowding(opened.document(name))):
            found[name]["crowd_index"] = crowded
    if as_json:
        console.as_json(found)
        return
    for name, numbers in found.items():
        console.out(f"{opened.name}, {name}")
        _print_stats(numbers, who[name])


def convert(
    source: What,
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    to: Annotated[str, typer.Option(help="coco: a JSON for each split; yolo: a text for each picture.")],
    images: Annotated[
        str, typer.Option(help="link the pictures (no space; copied where that fails), copy them, or none (coco).")
    ] = "link",
) -> None:
    """Write a dataset in another layout, with a data.yaml that opens it.

    Example: litepose-nas data convert mpii:/data/mpii mpii-coco --to coco
    """
    from litepose_nas.data.convert import convert as convert_dataset
    from litepose_nas.synthetic.dataset import open_or_draw

    with console.progress("writing") as step:
        written = convert_dataset(open_or_draw(source), out, to, images, step)
    _print_written(written)
    console.out(f"next: litepose-nas data stats {out / 'data.yaml'}")


def split(
    source: What,
    fraction: Annotated[float, typer.Option(help="The share of the pictures that become val.")] = 0.1,
    of: Annotated[str, typer.Option(help="The split to divide.")] = "train",
    out: Annotated[Path, typer.Option(help="The folder to make; pictures stay where they are.")] = Path("split"),
    seed: Seed = 0,
) -> None:
    """Divide a split into train and val, by image id, or by video where pictures are of videos.

    Example: litepose-nas data split all.json --fraction 0.1 --out divided
    """
    from litepose_nas.data.convert import divide
    from litepose_nas.synthetic.dataset import open_or_draw

    written = divide(open_or_draw(source), out, fraction, seed, of)
    _print_written(written)
    console.out(f"next: litepose-nas train-supernet --data {out / 'data.yaml'}")


def _print_written(written: list[WrittenSplit]) -> None:
    from litepose_nas.data.dataset import subjects

    head = ("split", "pictures", subjects(written[0].category))
    console.table(head, [(part.split, part.pictures, part.people) for part in written])
    for part in written:
        for what, count in part.left.items():
            console.out(f"{part.split}: left behind, the layout has no place for them: {count:,} {what}")


def _print_stats(found: dict[str, Any], who: str) -> None:
    rows: list[tuple[str, object]] = [
        (key.replace("_", " ").replace("people", who), found[key]) for key in _PLAIN if key in found
    ]
    console.table(("", "count"), rows)
    if "categories" in found:
        console.out("categories: " + _spread(found["categories"]))
    console.out(f"{who} in a picture: " + _spread(found["people_per_picture"]) + f"; most {found['most_people']}")
    for key in ("joints_per_person", "box_widths", "box_heights"):
        console.out(f"{key.replace('_', ' ')}, quantiles: " + _spread(found[key]))
    console.out("areas: " + _spread(found["areas"]))
    console.out("picture sizes: " + (_spread(found["picture_sizes"]) or "not in the file"))
    for rule, counts in found.get("crowd_index", {}).items():
        console.out(f"crowdIndex, rule {rule!r}: " + _spread(counts))
    share = [
        (name, f"{100 * numbers['labelled']:.1f} %", f"{100 * numbers['hidden']:.1f} %")
        for name, numbers in found["joints"].items()
    ]
    console.table(("joint", "labelled", "of these hidden"), share)


_PLAIN = (
    *("pictures", "pictures_without_people", "people", "crowds_and_regions", "people_without_joints"),
    *("videos", "tracks"),
)


def _spread(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {_number(value)}" for name, value in counts.items())


def _number(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else f"{value:,}"
