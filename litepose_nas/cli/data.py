"""litepose-nas data: drawn people; datasets checked, counted, rewritten, divided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json, Seed
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.data.convert import WrittenSplit

app = typer.Typer(help="Make datasets, check, count, rewrite and divide them.", no_args_is_help=True)
What = Annotated[str, typer.Argument(help="A dataset YAML, a COCO JSON, a folder of `data toy`, or coco, mpii:DIR ...")]


@app.command()
def toy(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    train: Annotated[
        int | None, typer.Option(min=1, help="Training pictures, 1500 if not given; or videos, 40.")
    ] = None,
    val: Annotated[
        int | None, typer.Option(min=1, help="Validation pictures, 150 if not given; or videos, 10.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=48, max=4096, help="Pixels; 160, videos 224, or 512 when hard, if not given.")
    ] = None,
    setting: Annotated[
        str, typer.Option(help="easy (what a demo learns in minutes), standard, or hard (crowded, blurred: for GPUs).")
    ] = "standard",
    subject: Annotated[
        str, typer.Option(help="people; arm: robot arms of seven joints; video: people who move, with tracks.")
    ] = "people",
    skeleton: Annotated[
        str, typer.Option(help="Of people: coco, 17 joints, or mpii, 16 joints, in MPII's layout with heads for PCKh.")
    ] = "coco",
    frames: Annotated[int | None, typer.Option(min=1, help="Of each video; 24 if not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that is not such a dataset.")] = False,
) -> None:
    """Draw people, robot arms, or videos: pictures and a COCO-keypoints JSON, the same bytes every time.

    Videos are written in PoseTrack18's layout.

    Examples: litepose-nas data toy people --train 200 --val 50
    litepose-nas data toy films --subject video --train 8 --val 2
    """
    from litepose_nas.synthetic.dataset import write_toy

    with console.progress("drawing") as step:
        made = write_toy(folder, train, val, size, seed, setting, force, step, subject, frames, skeleton)
    rows = zip(("train", "val"), made.pictures, made.people, made.crowds, made.hidden, made.tracks, strict=True)
    table = [
        (name, p, people, crowds, f"{100 * hidden:.0f} %", tracks) for name, p, people, crowds, hidden, tracks in rows
    ]
    names = {"arm": ("pictures", "arms", "crowds"), "video": ("frames", "people", "ignored")}
    head = ("split", *names.get(subject, ("pictures", "people", "crowds")), "hidden joints")
    films = subject == "video"
    console.table((*head, "tracks") if films else head, table if films else [row[:-1] for row in table])
    console.out(f"written to {folder} in {made.seconds:.1f} s")
    console.out(f"next: litepose-nas train-supernet --data {folder}")


@app.command()
def check(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="A dataset YAML, a JSON, a folder, or a name such as coco.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write a page with drawings there.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="train, val or test; train and val if not given.")] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Decode every picture.")] = True,
    json: Json = False,
) -> None:
    """Name everything wrong with a dataset; exit code 2 when training would stop on it.

    Example: litepose-nas data check people --html check.html
    """
    from litepose_nas.data.check.checkup import check_source
    from litepose_nas.data.check.messages import lines, tree
    from litepose_nas.data.check.page import page
    from litepose_nas.data.dataset import subjects
    from litepose_nas.files import write
    from litepose_nas.synthetic.dataset import open_or_draw

    opened = open_or_draw(source)
    with console.progress("decoding") as step:
        report = check_source(opened, tuple(dict.fromkeys(split or ())), images, step)
    if html:
        write(html, page(report))
    if json:
        console.as_json(tree(report))
    else:
        who = subjects("person" if all(one.category == "person" for one in report.splits) else "subject")
        head = ("split", "pictures", who, "crowds", "joints", "hidden joints")
        counts = [(one.name, one.counts) for one in report.splits]
        rows = [
            (name, c.images, c.people, c.crowds, c.joints, f"{c.hidden / max(c.joints, 1):.0%}") for name, c in counts
        ]
        console.table(head, rows)
        console.out()
        for line in lines(report):
            console.out(line)
        if html:
            console.out(f"drawings: {html}")
    if not report.trainable:
        raise UserError(f"{source}: training would stop; mend what is called an error above")


@app.command()
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


@app.command()
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


@app.command()
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
        title = key.replace("_", " ").replace("person", "person" if who == "people" else "subject")
        console.out(f"{title}, quantiles: " + _spread(found[key]))
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
