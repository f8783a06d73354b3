"""What int8 costs and gains: a network of photographs of faces and one of drawn people, in ONNX Runtime and OpenVINO.

    python benchmarks/int8.py --room ROOM [--only faces drawn] [--formats onnx openvino] [--max-loss 0.5] [--images 400]

Each network is trained the first time, minutes of one thread. Then it is written in int8 as `export --int8` writes it:
calibrated on 64 of its training images, with the layers that hurt in floating point, chosen on 200 others, and judged
on images that are in neither, of other people. The loss stands with the middle 95 % of 500 draws of the images; the
milliseconds are of one thread, asked in turn with fp32 and torch. Faces are those of faces68 in $POSE_REAL_DATA.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from int8_networks import PLANS, trained

from litepose_nas.cli.export_report import print_int8, print_report
from litepose_nas.data.source import open_source
from litepose_nas.exporters.int8_table import QUANTISERS
from litepose_nas.exporters.table import FORMATS
from litepose_nas.resolve import resolve
from litepose_nas.steps.export import exported
from litepose_nas.steps.image_report import judge_of
from litepose_nas.steps.verified_export import write_int8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--formats", nargs="+", choices=QUANTISERS, default=["onnx", "openvino"])
    parser.add_argument("--max-loss", type=float, default=0.5)
    parser.add_argument("--images", type=int, default=400)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.only:
        net = trained(name, asked.room)
        subnet = resolve(str(net.weights)).subnet
        judge = judge_of(str(net.weights), subnet.input, open_source(net.data), "val", asked.images)
        what = exported(judge.loaded.net, subnet, subnet.input, False)
        for format in asked.formats:
            out = asked.room / f"{name}-int8{FORMATS[format].suffix}"
            print(f"\n{name}, {subnet.cost.macs / 1e6:.1f} MMAC, {format}", flush=True)
            written = write_int8(what, out, format, judge, asked.max_loss, print)
            assert written.report is not None
            assert written.int8 is not None
            print_report(written.report)
            print_int8(written.int8, written.report, asked.max_loss)


if __name__ == "__main__":
    main()
