"""litepose-nas evaluate and predict: networks at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Boxes, Data, Device, Flip, Json, MinBoxScore
from litepose_nas.cli.session import open_data
from litepose_nas.errors import UserError, nearest

if TYPE_CHECKING:
    from litepose_nas.metrics.reports import MetricReport

SPLITS = ("val", "train", "test")


def evaluate(
    target: Annotated[str | None, typer.Argument(help="A .safetensors file; the newest here if not given.")] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="val; train, to see overfitting; test, to hand in (--save).")] = "val",
    flip: Flip = False,
    boxes: Boxes = None,
    min_box_score: MinBoxScore = 0.0,
    save: Annotated[
        Path | None, typer.Option(help="Write the predictions: COCO results as .json, MPII's array as .mat.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Evaluate these instead of a network: a file, or a folder for posetrack."),
    ] = None,
    annotations: Annotated[
        str | None, typer.Option(help="Ground truth of --predictions: a file of any layout, a dataset.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="coco, crowdpose, mpii, posetrack, pck, nme; the dataset's own, or coco for files."),
    ] = None,
    crowd_rule: Annotated[
        str | None, typer.Option(help="CrowdPose's easy, medium, hard: released (0.2, 0.8) or paper (0.1, 0.8).")
    ] = None,
    made_with: Annotated[
        str | None, typer.Option(help="How --predictions were made (flip, scales, boxes); printed beside the figures.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Print the figures of a network, or of predictions in files.

    Examples: litepose-nas evaluate subnet-finetuned.safetensors
    litepose-nas evaluate --predictions results.json --annotations val.json --metric coco
    """
    if predictions or annotations or made_with:
        if target or data or flip or boxes or min_box_score or save or device != "auto":
            raise UserError(
                "--predictions and --annotations are judged as they are, without a network; "
                "leave out the target, --data, --flip, --boxes, --min-box-score, --save and --device"
            )
        _judge_files(predictions, annotations, split, metric or "coco", crowd_rule, made_with, as_json)
        return
    from litepose_nas.data.dataset import subjects
    from litepose_nas.metrics.conditions import PredictionSettings
    from litepose_nas.steps import evaluate as step

    if split not in SPLITS:
        raise UserError(f"--split: {split!r} is not one; {nearest(split, SPLITS)}")
    target = target or step.default_target()
    loaded = step.load(target, device)
    source = open_data(data or loaded.net.meta.get("data"))
    loaded, looked_at = step.given_boxes(loaded, source, split, boxes, min_box_score)
    with console.progress("looking") as bar:
        seen = step.predict_split(loaded, source, split, flip, bar)
    if not seen.labelled and save is None:
        raise UserError(
            f"{source.name}, {split}: nobody is labelled in these pictures, so there are no figures; "
            "write what is found with --save FILE, to hand it in"
        )
    if save:
        step.save(seen, save)
    h, w = loaded.size
    if not seen.labelled:
        who = subjects(seen.dataset.category)
        console.step(f"{len(seen.results)} {who} in {len(seen.dataset.records)} pictures, written to {save}")
        if as_json:
            made = {"pictures": len(seen.dataset.records), "flip": flip, "scales": [1.0], "boxes": looked_at}
            console.as_json({**made, "results": len(seen.results), "split": split, "target": target})
        return
    metric = metric or step.metric_for(seen, source, split)
    _check_rule(crowd_rule, metric)
    report = step.report(seen, metric, crowd_rule or "released", PredictionSettings(flip, (1.0,), looked_at))
    if not as_json:
        console.out(f"{target} on {source.name}, {split}, {h}x{w}")
    _print(report, metric, as_json, {"split": split, "target": target})
    if not as_json:
        console.out(f"next: litepose-nas predict {target} PICTURE, or litepose-nas export {target}")


def _judge_files(
    predictions: Path | None,
    annotations: str | None,
    split: str,
    metric: str,
    crowd_rule: str | None,
    made_with: str | None,
    as_json: bool,
) -> None:
    from litepose_nas.metrics.from_files import PredictionFiles, judge

    if predictions is None or annotations is None:
        missing = "--predictions" if predictions is None else "--annotations"
        raise UserError(f"{missing} is missing: figures from files need --predictions and --annotations")
    _check_rule(crowd_rule, metric)
    asked = PredictionFiles(predictions, annotations, split, crowd_rule or "released", made_with)
    files = {"predictions": str(predictions), "annotations": str(annotations)}
    _print(judge(metric, asked), metric, as_json, files)


def _check_rule(crowd_rule: str | None, metric: str) -> None:
    if crowd_rule is not None and metric != "crowdpose":
        raise UserError(f"--crowd-rule is CrowdPose's; leave it out, or say --metric crowdpose instead of {metric}")


def _print(report: MetricReport, metric: str, as_json: bool, what: dict[str, str]) -> None:
    from litepose_nas.metrics.conditions import fields_of, lines_of

    if as_json:
        console.as_json({"metric": metric, **report.figures, **fields_of(report.conditions), **what})
        return
    for line in (*report.lines, *lines_of(report.conditions)):
        console.out(line)


def predict(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A .safetensors file.")],
    pictures: Annotated[
        list[str], typer.Argument(help="Pictures, folders, videos, patterns such as '*.jpg'; camera:0, rtsp://...")
    ],
    out: Annotated[Path, typer.Option(help="The folder for overlays and poses.")] = Path("predictions"),
    flip: Flip = False,
    boxes: Boxes = None,
    min_box_score: MinBoxScore = 0.0,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Drop detections below this score.")] = 0.1,
    video: Annotated[bool, typer.Option("--video", help="A folder of pictures is the frames of a video.")] = False,
    detector: Annotated[
        Path | None, typer.Option(help="A bottom-up network that finds people for a top-down one.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Each picture is one person, for a top-down network.")] = False,
    every: Annotated[
        int | None, typer.Option(min=1, help="In videos: run --detector every so many frames (default: 5).")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="In videos: coco, or posetrack for its evaluation; coco if not given.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=240, help="In videos: frames a second of the overlay; as the video.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="In videos: go on where it was stopped.")] = False,
    host: Annotated[
        str | None, typer.Option(help="Of a camera: where its page is served; 127.0.0.1 if not given.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Of a camera's page (default: 8080).")] = None,
    device: Device = "auto",
) -> None:
    """Draw the people that a network finds in pictures, or follows through videos and in front of a camera.

    A camera is shown on a page, on this machine alone unless --host says otherwise; with --out files are kept.

    Examples: litepose-nas predict subnet-finetuned.safetensors photos/
    litepose-nas predict topdown.safetensors photos/ --detector bottomup.safetensors
    litepose-nas predict topdown.safetensors clip.mp4 --detector bottomup.safetensors
    """
    from litepose_nas.cli import cameras, videos
    from litepose_nas.steps.videos import PredictOptions

    camera = cameras.camera_of(pictures)
    sources = videos.sources_of(pictures, video) if camera is None else []
    options = PredictOptions(
        out, flip, boxes, min_box_score, min_score, device, detector, whole, every, layout, rate, resume
    )
    if camera is not None:
        cameras.watch_camera(context, target, camera, options, host, port)
        return
    if host is not None or port is not None:
        raise UserError("--host and --port: are for the page of a camera; name one, such as camera:0")
    if sources:
        videos.predict_videos(target, sources, options)
        return
    if alone := videos.video_option(options):
        raise UserError(f"{alone}: is for videos; name one, or add --video where a folder holds the frames of one")
    from litepose_nas.data.dataset import subjects
    from litepose_nas.inference.pictures import predict as run
    from litepose_nas.steps import evaluate as step
    from litepose_nas.steps.where_to_look import WhereToLook, boxes_in_pictures

    loaded = step.load(target, device)
    find = boxes_in_pictures(loaded, WhereToLook(boxes, min_box_score, detector, whole), device)
    if loaded.task.kind.one_person and find is None and not whole:
        console.out(
            "this network sees one person at a time, and none of --detector, --boxes and --whole was given: "
            "each picture is taken for one person"
        )
    with console.progress("looking") as bar:
        done = run(loaded.net, loaded.task, loaded.skeleton, pictures, loaded.size, out, flip, min_score, bar, find)
    for warning in done.warnings:
        console.error(warning)
    who = subjects(loaded.net.meta.get("category", "person"))
    console.out(f"{done.people} {who} in {len(done.overlays)} pictures; overlays and {done.poses.name} in {out}")
    console.out(f"next: litepose-nas export {target}")
