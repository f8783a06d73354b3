"""The stages of the demo, one after the other; each leaves a file, and one that has it is not told again."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from litepose_nas import doctor, weights
from litepose_nas.budget import Budget
from litepose_nas.data.fields import path_inside
from litepose_nas.data.source import Source, open_source
from litepose_nas.demo import contenders, ending, networks
from litepose_nas.demo import scale as scales
from litepose_nas.demo.clock import Clock, forecast
from litepose_nas.demo.networks import NetworkJob
from litepose_nas.errors import UserError
from litepose_nas.executors.open_executor import ExecutorOptions
from litepose_nas.exporters.onnx import onnx_package, to_onnx
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference import previews
from litepose_nas.report import run_page
from litepose_nas.runs.run import COMMAND, Run
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import WORDS
from litepose_nas.search.scoring import Protocol
from litepose_nas.space import Space
from litepose_nas.steps import search as searching
from litepose_nas.steps import search_plan, train_supernet
from litepose_nas.steps.common import Say, duration
from litepose_nas.steps.train_supernet import SupernetTraining, TrainOptions
from litepose_nas.steps.training import begin_or_resume, mean_work, seconds_a_step
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.loop import Every, Progress
from litepose_nas.train.recipe import Length, Recipe, changed

VERB = "demo"
EVERY = 8.0  # seconds between two lines of progress
SAMPLE = 32  # pictures that are drawn to time drawing and training
PAGE_EVERY = 20.0  # seconds after which its page loads itself again; it is written after each stage
GAIN = 0.9  # more threads are taken where a step takes less than this share of the time

Found = dict[str, Any]


def box() -> list[str]:
    """What the doctor says of this machine, in a box; what does not work at all is an error."""
    findings = doctor.examine(Path.cwd())
    if bad := [finding for finding in findings if finding.ok is False]:
        raise UserError(f"{bad[0].what}: {bad[0].state}; `litepose-nas doctor` tells more")
    short = [f for f in findings if f.what in ("python", "processor", "torch", "accelerators", "extra export")]
    lines = [f"{f.what:<13} {f.state.partition(' on ')[0] if f.what == 'python' else f.state}"[:96] for f in short]
    wide = max(map(len, lines))
    return [f"┌{'─' * (wide + 2)}┐", *(f"│ {line:<{wide}} │" for line in lines), f"└{'─' * (wide + 2)}┘"]


def run_demo(run: Run, say: Say, tick: Say, every: float = EVERY) -> Found:
    """Run all stages in a run's folder and return its figures; `say` hears results, `tick` progress now and then.

    Called again on the same folder it goes on where it was interrupted, with the same numbers in the end.
    """
    demo = Demo(run, say, tick, every)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(demo.stage("threads", demo.measure)["threads"])
        demo.stage("people", demo.draw)
        demo.stage("supernet", demo.train)
        demo.stage("search", demo.search)
        demo.stage("networks", demo.finetune)
        demo.stage("export", demo.export)
        found = demo.stage("ending", demo.end)
        run_page.write(run)
        return found
    finally:
        torch.set_num_threads(before)


class Demo:
    """One demo: its folder, its settings, and who listens."""

    def __init__(self, run: Run, say: Say, tick: Say, every: float = EVERY):
        self.run, self.folder = run, run.folder
        self.scale = scales.read(run.settings["scale"], f"{run.folder}/config.yaml")
        self.seed, self.lanes, self.threads = (run.settings[key] for key in ("seed", "lanes", "threads"))
        self.clock, self._said = Clock(), 0.0
        self._say, self._tick, self._every = say, tick, every

    # ── stages and telling ──

    def stage(self, name: str, tell: Callable[[], Found]) -> Found:
        """What a stage found, now or in the interrupted run before."""
        path = self._record(name)
        self.clock.begin(name)
        if path.is_file():
            found = dict(json.loads(path.read_text(encoding="utf-8")))
            self.say(f"{name}: {found['line']} (done before)")
        else:
            start, self._said = time.perf_counter(), -math.inf  # a new stage is told of at once
            self.tick(name, 0.0)
            found = json.loads(json.dumps(tell()))  # the same whether it is told or read
            found["seconds"] = round(time.perf_counter() - start, 1)
            path.parent.mkdir(exist_ok=True)
            self.run.write(f"stages/{name}.json", json.dumps(found, indent=2) + "\n")
            self.say(f"{name}: {found['line']}, {duration(found['seconds'])}")
            run_page.write(self.run, PAGE_EVERY)
        if name == "threads":
            self._forecast(found)
            if not self._record("people").is_file():  # later, what is left stands in the lines of progress
                self.say(
                    f"the whole demo takes about {self.clock.whole()} here; Ctrl-C and --resume are safe at any time"
                )
        return found

    def found(self, name: str) -> Found:
        return dict(json.loads(self._record(name).read_text(encoding="utf-8")))

    def say(self, text: str) -> None:
        self.run.log(text)
        self._say(text)

    def tick(self, text: str, share: float) -> None:
        """Tell progress, now and then, with the time that the whole demo still takes."""
        now = time.perf_counter()
        if now - self._said >= self._every:
            self._said = now
            self._tick(f"{text}  demo left: {self.clock.left(share)}")

    def _record(self, name: str) -> Path:
        return self.folder / "stages" / f"{name}.json"

    # ── the stages ──

    def draw(self) -> Found:
        scale = self.scale
        made = write_toy(
            self.folder / "people",
            train=scale.train,
            val=scale.val,
            size=scale.size,
            seed=self.seed,
            setting=scale.setting,
            progress=lambda done, total: self.tick(f"drawing people {done}/{total}", done / total),
        )
        line = (
            f"{made.pictures[0]:,} pictures to learn from, {made.pictures[1]} with {made.people[1]} people to be "
            f"judged by; {100 * made.hidden[1]:.0f} % of their joints are hidden"
        )
        return {"line": line, "people": made.people, "hidden": made.hidden}

    def measure(self) -> Found:
        """Time drawing, and a step of the supernet's training with one thread and with more, and choose."""
        most = torch.get_num_threads()
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            sample = write_toy(Path(folder) / "people", SAMPLE, 1, self.scale.size, self.seed, self.scale.setting)
            return self._timed(self._planned(open_source(str(sample.folder))), most, sample.seconds / (SAMPLE + 1))

    def _timed(self, training: SupernetTraining, most: int, drawing: float) -> Found:
        trainee, pictures = training.trainee, training.data.split.train

        def timed(steps: int) -> float:
            return seconds_a_step(trainee, pictures, trainee.recipe, self.seed, steps)

        # The widest network alone tells how threads help; a whole step would take very long where they get in each
        # other's way, as on a busy machine, and then it is high time to stop trying.
        alone, first = timed(training.settings["steps"]), timed(2)
        times = {1: alone}
        for count in [self.threads] if self.threads else sorted({*(n for n in (2, 4, 8) if n < most), most} - {1}):
            torch.set_num_threads(count)
            times[count] = alone * timed(2) / first
            if times[count] > 2 * alone:
                break
        best = min(times, key=times.__getitem__)
        # Another number of threads may round otherwise: not for a gain that is noise.
        threads = self.threads or (best if times[best] < GAIN * alone else 1)
        told = ", ".join(f"{1000 * times[n]:.0f} ms with {n}" for n in sorted(times))
        line = f"a step of the supernet takes {told} of torch's threads: it gets {threads}"
        return {
            "line": line,
            "threads": threads,
            "seconds_a_step": {str(n): s for n, s in times.items()},
            "seconds_a_picture": drawing,
            "macs_a_step": mean_work(trainee, training.settings["steps"]),
        }

    def train(self) -> Found:
        source = self._source()
        run, training = begin_or_resume(
            train_supernet.VERB,
            self.folder / "supernet",
            lambda: self._planned(source),
            lambda run: train_supernet.load(run, source, "cpu"),
        )
        steps = training.settings["steps"]
        every = Every(report=max(1, steps // 100), check=steps, save=max(1, steps // 20))

        def report(p: Progress) -> None:
            run.log(f"{p.step}/{p.steps} {p.losses}")
            self.tick(f"supernet {p.step}/{p.steps}  loss {p.losses['loss']:.4f}", p.step / p.steps)

        with run:
            train_supernet.train(run, training, report, every)
        last = run.metrics.rows[-1]
        aps = f"on held-out pictures the widest has AP {last['widest/ap']:.3f}, the smallest {last['smallest/ap']:.3f}"
        return {
            "line": f"{training.supernet.space.size:,} networks trained at once in {steps:,} steps; {aps}",
            "metrics": last,
        }

    def search(self) -> Found:
        """Search it once, within the largest budget, and choose for each."""
        scale, place, trained = self.scale, self.folder / "search", str(self.folder / "supernet")
        options = search_plan.SearchOptions(
            [trained],
            [max(scale.budgets, key=lambda text: Budget.of([text]).limits[0].most)],
            evals=scale.evals,
            rank=scale.rank,
            finalists=0,  # each budget has its own best
            seed=self.seed,
            device="cpu",
            protocol=Protocol(scale.calibration, scale.calibration_batch),
            most_in_slice=scale.slice,
        )
        ready = search_plan.plan(options, lambda _: self._source(), lambda _: None)
        run, _ = begin_or_resume(searching.VERB, place, lambda: ready, lambda _: ready)

        def report(_: str, one: Evaluated, number: int) -> None:
            line = f"{one.cost.macs / 1e6:.1f} MMAC  AP {one.result['ap']:.3f}  loss {one.result['loss']:.4f}"
            run.log(f"{number}/{scale.evals}  {line}")
            self.tick(f"search {number}/{scale.evals}  {line}", number / scale.evals)

        with run:
            found = searching.search(run, ready, report, ExecutorOptions(workers=self.lanes))
        (family,) = ready.families.values()
        joints, known = family.candidates.supernet.joints, {one.arch: one for one in found.found}
        chosen = contenders.contenders(found.found, scale.budgets, family.problem.space, joints)
        for name, arch in chosen.items():
            subnet = found.subnet(known[arch]) if arch in known else Subnet(arch, joints, family.info)
            subnet_file.write(self._network(name) / "subnet.json", subnet)
        macs = {name: Subnet(arch, joints).cost.macs for name, arch in chosen.items()}
        shown = ", ".join(f"{contenders.label(name, scale.budgets)} {macs[name] / 1e6:.1f} MMAC" for name in macs)
        by = WORDS[found.by]
        return {"line": f"{len(found.found)} networks ranked by {by}; on: {shown}", "macs": macs}

    def finetune(self) -> Found:
        """Extract, evaluate, fine-tune and evaluate the five networks."""
        macs: dict[str, int] = self.found("search")["macs"]
        jobs = [
            NetworkJob(name, str(self._network(name)), str(self.folder / "people"), self.scale, self.seed)
            for name in sorted(macs, key=lambda name: -macs[name])  # the longest first, so that all end together
        ]

        def say(name: str, text: str) -> None:
            self.say(f"  {contenders.label(name, self.scale.budgets)}: {text}")

        def watch() -> None:
            shares = {name: networks.done_share(self._network(name), self.scale) for name in macs}
            done = sum(shares[name] * macs[name] for name in macs) / sum(macs.values())
            under_way = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items() if 0 < share < 1)
            self.tick(f"fine-tuning {under_way}", done)

        networks.finetune_all(jobs, self.lanes, say, watch, self.say)
        return {"line": f"{len(jobs)} networks extracted and fine-tuned, {self.lanes} at a time, one thread each"}

    def export(self) -> Found:
        try:
            onnx_package()
        except UserError as missing:
            return {"line": f"left out: {missing}", "difference": None}
        folder = self._network(contenders.SEARCHED)
        net = weights.load(folder / "subnet-finetuned.safetensors")
        subnet = subnet_file.read(folder / "subnet.json")
        path = folder / "subnet-finetuned.onnx"
        parity = to_onnx(net, path, subnet.input, subnet.arch.space.family.outputs, net.meta)
        apart = max(parity.difference.values())
        line = f"{path}: ONNX Runtime and torch differ by {apart:.1e} at most, on outputs up to {parity.scale:.2g}"
        return {"line": line, "difference": apart, "file": str(path)}

    def end(self) -> Found:
        folders = {name: self._network(name) for name in self.found("search")["macs"]}
        val = self._source().read("val")
        rows = ending.table(folders, self.scale)
        ending.write_csv(rows, self.folder / "table.csv")
        self.run.write("front.svg", ending.front(rows, self.folder / "search" / "front.csv"))
        found = networks.read(folders[contenders.SEARCHED], networks.FINETUNED)["results"]
        previews.show_results(val, found, self.folder / "predictions.jpg")
        stages = ("people", "threads", "supernet", "search", "networks", "export")
        seconds = {name: self.found(name)["seconds"] for name in stages}
        return {
            "line": f"table.csv, front.svg and predictions.jpg are in {self.folder}",
            "rows": rows,
            "searched_against_scaled": ending.compare(folders, val, self.scale),
            "onnx_difference": self.found("export")["difference"],
            "stage_seconds": seconds,  # without what an interruption lost
            "interruptions": len((self.folder / COMMAND).read_bytes().splitlines()) - 1,
            "seed": self.seed,
            "weights": str(folders[contenders.SEARCHED] / "subnet-finetuned.safetensors"),
        }

    # ── what several of them need ──

    def _source(self) -> Source:
        return open_source(str(self.folder / "people"))

    def _network(self, name: str) -> Path:
        return self.folder / "networks" / path_inside(f"{self.folder}: the stage search", name)

    def _planned(self, source: Source) -> SupernetTraining:
        scale = self.scale
        options = TrainOptions(
            space=scales.space_of(scale, self.folder),
            recipe=changed(Recipe(), scale.supernet),
            length=Length(steps=scale.supernet_steps),
            seed=self.seed,
            device="cpu",
            amp="off",
        )
        return train_supernet.plan(options, source, self.say)

    def _forecast(self, measured: Found) -> None:
        if "macs_a_step" not in measured:  # begun by an older version
            return
        times, scale = measured["seconds_a_step"], self.scale
        space, recipe = Space.load(scales.space_of(scale, self.folder)), changed(Recipe(), scale.supernet)
        macs = [int(Budget.of([text]).limits[0].most) for text in scale.budgets]
        ends = [Subnet(arch, 17).cost.macs for arch in (space.smallest, space.widest)]
        step, alone = times[str(measured["threads"])], times["1"]
        nets = [*macs, macs[0], *ends]
        later = forecast(scale, space, 17, recipe, step, measured["macs_a_step"], self.lanes, alone, nets)
        drawing = measured.get("seconds_a_picture", 0.0) * (scale.train + scale.val)
        self.clock.expected = {"people": drawing, **later}
