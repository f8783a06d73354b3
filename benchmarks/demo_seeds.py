"""Does the searched network beat the uniformly scaled one of its cost? The demo over several seeds, minutes each.

    python benchmarks/demo_seeds.py [--seeds 3] [--out runs/demo-seeds] [--quick]

Every seed draws its own people and trains its own supernet; both networks come from it with the same calibration and
the same fine-tuning. The interval is the middle 95 % of the paired bootstrap over validation pictures. Interrupted, the
same command goes on; finished seeds are only read.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from litepose_nas.cli.demo import NETWORKS
from litepose_nas.demo import contenders, scale, stages
from litepose_nas.runs.run import ENV, Run

ROW = "{:>4} {:>9} {:>9} {:>8} {:>8} {:>8}   {:<18} {:>6} {:>8}"


def demo(folder: Path, seed: int, quick: bool) -> dict:
    if (folder / ENV).is_file():
        run = Run.resume(folder)
    else:
        kept = (scale.QUICK if quick else scale.FULL)._asdict()
        lanes = min(os.cpu_count() or 1, NETWORKS)
        settings = {"seed": seed, "threads": None, "lanes": lanes, "scale": kept}
        run = Run.create(stages.VERB, settings=settings, out=folder)
    with run:
        return stages.run_demo(run, lambda text: None, lambda text: print(f"seed {seed}{text}", file=sys.stderr))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/demo-seeds"))
    parser.add_argument("--quick", action="store_true", help="only to see that it runs")
    options = parser.parse_args()
    head = ("seed", "searched", "scaled", "MMAC", "MMAC", "ahead", "95 %", "kept", "minutes")
    print(ROW.format(*head))
    ahead = []
    for seed in range(options.seeds):
        found = demo(options.out / f"seed-{seed}", seed, options.quick)
        rows = {row["name"]: row for row in found["rows"]}
        one, other, beside = rows[contenders.SEARCHED], rows[contenders.SCALED], found["searched_against_scaled"]
        ahead.append(beside["difference"])
        kept = one["ap_inherited"] / one["ap_finetuned"] if one["ap_finetuned"] > 0 else 0.0
        print(
            ROW.format(
                seed,
                f"{one['ap_finetuned']:.3f}",
                f"{other['ap_finetuned']:.3f}",
                f"{one['macs'] / 1e6:.1f}",
                f"{other['macs'] / 1e6:.1f}",
                f"{beside['difference']:+.3f}",
                f"{beside['low']:+.3f} to {beside['high']:+.3f}",
                f"{kept:.2f}",
                f"{sum(found['stage_seconds'].values()) / 60:.1f}",
            )
        )
        sys.stdout.flush()
    print(
        f"\nahead in {sum(value > 0 for value in ahead)} of {len(ahead)}, {statistics.mean(ahead):+.3f} AP on average"
    )
    print("kept: the share of its fine-tuned AP that the searched network inherited")


if __name__ == "__main__":
    main()
