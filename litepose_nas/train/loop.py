"""The training loop: one for supernets and single networks. A resumed run goes on to the bit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from litepose_nas.data.loader import Batch
from litepose_nas.pose.people import DivergedError
from litepose_nas.runs.run import Run
from litepose_nas.train import checkpoint, stopping
from litepose_nas.train.loss_sums import LossSums
from litepose_nas.train.recipe import Recipe
from litepose_nas.train.trainee import Trainee
from litepose_nas.untrusted.display import short

CHECKPOINT = "checkpoint.pt"
MOMENTA = {"step", "exp_avg", "exp_avg_sq"}  # what Adam remembers of a parameter
LEAST_SCALE = 2.0**-10  # gradients that overflow even when made this small are no accident of half precision


class Progress(NamedTuple):
    """What is told of a training now and then."""

    step: int  # steps done
    steps: int
    losses: dict[str, float]  # means since the last time
    rate: float  # learning rate
    images_per_second: float
    waiting: float  # share of the time spent waiting for pictures
    left: float  # seconds


class Every(NamedTuple):
    """How many steps lie between reports, checks on held-out pictures, and checkpoints."""

    report: int = 10
    check: int = 500
    save: int = 100


Check = Callable[[int, Tensor | None], dict[str, float]]  # of a step and the averaged weights, if there are any
Stream = Callable[[int], Iterable[tuple[int, Batch, float]]]  # from a batch on: its number, it, seconds waited


def fit(
    trainee: Trainee,
    stream: Stream,
    run: Run,
    steps: int,
    *,
    until: int | None = None,
    every: Every = Every(),  # noqa: B008
    precision: torch.dtype | None = None,
    check: Check | None = None,
    report: Callable[[Progress], None] | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> Tensor | None:
    """Train up to the given number of steps, from the run's checkpoint if it has one; return the averaged weights.

    With `until` it stops at an earlier step of the same training, checked and saved, to go on or be given up.
    `check` looks at held-out pictures; its numbers go into the metrics. `tick` hears of every step. A loss that grows
    beyond all bounds or is no number ends the training with a DivergedError, the last good checkpoint kept. Ctrl-C
    stops after the step in hand, saved, as a KeyboardInterrupt.
    """
    state = _State(trainee, run.folder / CHECKPOINT, precision)
    metrics = run.metrics_until(state.step)
    clock = _Clock()
    many = trainee.recipe.accumulate
    with stopping.between_steps() as stop, contextlib.closing(iter(stream(state.step * many))) as batches:  # type: ignore[type-var]
        end = steps if until is None else min(until, steps)
        while state.step < end:
            rate = trainee.recipe.rate(state.step, steps)
            for _ in range(many):
                number, batch, waited = next(batches)
                clock.waited(waited, len(batch.images))
                state.backward(batch, number, 1 / many)
            state.update(rate)
            last = state.step == end
            checked = {}
            if check and (last or state.step % every.check == 0):
                state.check_losses()  # a check writes weights: not over good ones
                with clock.stopped():
                    checked = check(state.step, state.average)
            if last or checked or state.step % every.report == 0:
                means = {**state.means(), **checked}
                metrics.append({"step": state.step, "lr": rate, **means})
                if report:
                    report(Progress(state.step, steps, means, rate, *clock.read(state.step, steps)))
            if last or stop.asked or state.step % every.save == 0:
                state.save()
            if tick:
                tick(state.step, steps)
            if stop.asked:
                raise KeyboardInterrupt
    return state.average


class _State:
    def __init__(self, trainee: Trainee, path: Path, precision: torch.dtype | None):
        self.trainee, self.path = trainee, path
        self.store, self.recipe = trainee.store, trainee.recipe
        self.optimizer = _optimizer(trainee)
        self.average = self.store.flat.clone() if self.recipe.ema else None
        self.scale = 2.0**14 if precision == torch.float16 else 1.0  # small gradients vanish in half precision
        self.calm = 0  # steps since the scale last changed
        device = self.store.flat.device.type
        self.autocast = torch.autocast(device, precision) if precision else contextlib.nullcontext()
        self.half = precision == torch.float16
        self.sums = LossSums(self.store.flat.device)
        self.step = 0
        if path.exists():
            self._load(checkpoint.load(path))

    def backward(self, batch: Batch, number: int, share: float) -> None:
        batch = batch.to(self.store.flat.device)
        with self.autocast:
            losses = self.trainee.backward(batch.images, batch.joints, batch.masks, number, self.scale * share)
        self.sums.add(losses, self.step + 1)
        if not self.sums.waits:
            self.check_losses()

    def update(self, rate: float) -> None:
        grad = self.store.grad
        if self.scale != 1:
            grad.div_(self.scale)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if not self.half or self._finite(grad):
            if self.recipe.clip:
                grad.mul_((self.recipe.clip / (grad.norm() + 1e-6)).clamp(max=1.0))
            self._move()
            if self.average is not None:  # young averages forget faster, or the first weights would stay in them
                self.average.lerp_(self.store.flat, 1 - min(self.recipe.ema, (1 + self.step) / (10 + self.step)))
        self.store.zero_grad()
        self.step += 1

    def _move(self) -> None:
        """Let the optimizer step; what no net of the step has stays as it is, momenta and all."""
        if self.trainee.covers:
            self.optimizer.step()
            return
        parts = [param for group in self.optimizer.param_groups for param in group["params"]]
        idle = [param.grad == 0 for param in parts]
        before = [[tensor.clone() for tensor in self._of(param)] for param in parts]
        self.optimizer.step()
        for param, still, kept in zip(parts, idle, before, strict=True):
            for number, tensor in enumerate(self._of(param)):  # there are no momenta before the first step
                old = kept[number] if number < len(kept) else torch.zeros_like(tensor)
                tensor.copy_(torch.where(still, old, tensor))

    def _of(self, param: Tensor) -> list[Tensor]:
        """The numbers of a parameter, and its momenta."""
        momenta = [value for value in self.optimizer.state[param].values() if value.shape == param.shape]
        return [param.detach(), *momenta]

    def _diverged(self, what: str) -> DivergedError:
        folder = self.path.parent
        kept = f"the checkpoint in {folder} is from before" if self.path.exists() else "no checkpoint was made yet"
        return DivergedError(
            f"{folder}: the training has diverged: {what}; {kept}. "
            "Train again with a lower rate, such as lr=0.001, or with clip=0.1"
        )

    def _finite(self, grad: Tensor) -> bool:
        """Whether a half-precision gradient did not overflow, and choose the next scale."""
        fine = bool(torch.isfinite(grad).all())
        self.calm = self.calm + 1 if fine else 0
        if not fine or self.calm == 1000:
            self.scale, self.calm = self.scale * (2 if fine else 0.5), 0
        if self.scale < LEAST_SCALE:
            raise self._diverged(f"gradients of step {self.step + 1} overflow half precision at every scale")
        return fine

    def means(self) -> dict[str, float]:
        self.check_losses()
        return self.sums.means()

    def check_losses(self) -> None:
        if bad := self.sums.diverged():
            raise self._diverged(f"the loss is {bad[1]:.3g} at step {bad[0]}")

    def save(self) -> None:
        self.check_losses()
        # The loss of the next step would say so, but then this checkpoint would have taken the place of a good one.
        if not torch.isfinite(self.store.flat).all():
            raise self._diverged(f"weights are no numbers any more after step {self.step}")
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.store.state_dict().items()}
        plain: dict[str, Any] = {"step": self.step, "scale": self.scale, "calm": self.calm}
        plain |= {"sums": self.sums.plain(), "count": self.sums.count}
        state = {"store": tensors, "optimizer": self.optimizer.state_dict(), "average": self.average, **plain}
        checkpoint.save(self.path, state)

    def _load(self, state: dict[str, Any]) -> None:
        """Take the state of a file; one that `save` of this very training cannot have written is refused."""
        try:
            parts = [param for group in self.optimizer.param_groups for param in group["params"]]
            momenta = dict(state["optimizer"]["state"])
            for place, kept in momenta.items():
                if place not in range(len(parts)) or set(kept) != MOMENTA or not kept["step"] >= 0:
                    raise ValueError(f"what the optimizer has of {short(place, 20)} is not what it remembers")
                for name in MOMENTA:
                    like = () if name == "step" else parts[place]
                    checkpoint.check_like(f"{name} of the optimizer", kept[name], like)
            if len(momenta) not in (0, len(parts)):
                raise ValueError("the optimizer has forgotten some")
            sums = dict(state["sums"])
            if not all(type(name) is str and type(total) is float for name, total in sums.items()):
                raise ValueError("the sums of losses are no numbers")
            if self.average is not None:
                checkpoint.check_like("average", state["average"], self.average)
            step, count, calm = (checkpoint.whole(name, state[name]) for name in ("step", "count", "calm"))
            scale = checkpoint.number("scale", state["scale"])
            self.store.load(state["store"])
            # Rates and such are the recipe's; momenta alone are of the past.
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": momenta})
            if self.average is not None:
                self.average.copy_(state["average"])
        except (LookupError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise checkpoint.damaged(self.path, error) from error
        self.sums.load(sums, count)
        self.step, self.calm, self.scale = step, calm, scale


class _Clock:
    """Speed since it was last read."""

    def __init__(self) -> None:
        self.start, self.images, self.waiting, self.steps = time.perf_counter(), 0, 0.0, 0

    def waited(self, seconds: float, images: int) -> None:
        self.images += images
        self.waiting += seconds

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        before = time.perf_counter()
        yield
        self.start += time.perf_counter() - before

    def read(self, step: int, steps: int) -> tuple[float, float, float]:
        """Images a second, the share of waiting, and the seconds that are left."""
        passed = max(time.perf_counter() - self.start, 1e-9)
        speed, share = self.images / passed, self.waiting / passed
        each = passed / max(step - self.steps, 1)
        self.start, self.images, self.waiting, self.steps = time.perf_counter(), 0, 0.0, step
        return speed, share, (steps - step) * each


def _optimizer(trainee: Trainee) -> torch.optim.Optimizer:
    recipe: Recipe = trainee.recipe
    decayed, plain = trainee.store.parameters()
    groups = [{"params": [decayed], "weight_decay": recipe.weight_decay}, {"params": [plain], "weight_decay": 0.0}]
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.lr)
