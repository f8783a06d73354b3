"""Every space in search_spaces/ has every property; a new space is tested by lying there."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs, resources
from litepose_nas.space import Space
from litepose_nas.supernet import Supernet
from tests.helpers import properties
from tests.helpers.properties import CHECKS, NESTED, Inputs

JOINTS = 3
SPACES = resources.names("search_spaces", ".yaml")
FULL_SIZE = 8e6  # parameters of the widest network: spaces with more are seen whole in the slow tests alone
QUICK = {name: check for name, check in CHECKS.items() if name != "peak"}
ODD = (75, 49)  # pixels that no stride divides


class Case(NamedTuple):
    supernet: Supernet
    channels_last: Supernet
    thinned: bool = False  # a full-size space, of which less is seen by default

    def inputs(self, height: int = 64, width: int = 64) -> Inputs:
        return pictures(height, width, frames=self.supernet.space.widest.clip_length)

    def ask(self, check: Callable[..., None], arch: ln.Arch, size: tuple[int, int] = (64, 64)) -> None:
        """Check a property; gradients of three frames and more meet in the store in another order than autograd's."""
        summed = check is properties.gradients_equal_autograd and arch.clip_length > 3
        check(self.supernet, arch, self.inputs(*size), **({"tolerance": 1e-5} if summed else {}))

    def lies_inside_widest(self, arch: ln.Arch, size: tuple[int, int] = (64, 64)) -> None:
        widest = self.supernet.space.widest  # of a full-size space it is deep, and rounds many times
        tolerance = 1e-4 if full_size(self.supernet.space) else 1e-5
        properties.lies_inside(self.supernet, arch, widest, self.inputs(*size), tolerance)

    def archs(self, number: int) -> list:
        """The widest, the smallest, random ones; of a full-size space a random one beside the widest."""
        found = properties.sampled(self.supernet.space, 3 if self.thinned else number)
        return [found[0], found[2]] if self.thinned else found

    @property
    def nested(self) -> bool:
        return self.supernet.space.family.name in NESTED

    @property
    def attends(self) -> bool:
        """Whether there are other products than convolutions and linear maps."""
        inputs = [x.to("meta") for x in self.inputs()]
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            ln.build(self.supernet.space.widest, JOINTS).eval()(*inputs)
        known = ("convolution", "addmm")
        return any(not any(word in str(kind) for word in known) for kind in counter.get_flop_counts()["Global"])


def pictures(height: int = 64, width: int = 64, device: str = "cpu", frames: int = 1) -> Inputs:
    """Two pictures, or two clips of so many frames."""
    generator = torch.Generator().manual_seed(1)
    clip = (frames,) if frames > 1 else ()
    return (torch.randn(2, *clip, 3, height, width, generator=generator).to(device),)


def thin(node: Any) -> Any:
    """A tree with the two smallest choices of every number: the same blocks and wiring, quick to compute with."""
    if isinstance(node, dict):
        return {key: thin(value) for key, value in node.items()}
    if isinstance(node, list):
        return node[:2] if all(isinstance(value, int) for value in node) else [thin(value) for value in node]
    return node


def full_size(space: Space) -> bool:
    return costs.cost(space.widest, (64, 64), JOINTS).params > FULL_SIZE


def cases(space: Space, thinned: bool = False) -> Iterator[Case]:
    plain = properties.rough_supernet(space, JOINTS)
    yield Case(plain, properties.rough_supernet(space, JOINTS, memory_format=torch.channels_last), thinned)


@pytest.fixture(scope="module", params=SPACES)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    space = Space.load(request.param)
    thinned = full_size(space)
    yield from cases(Space(thin(json.loads(space.source)), f"{space.name}, thin") if thinned else space, thinned)


@pytest.fixture(scope="module", params=SPACES)
def whole(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield from cases(Space.load(request.param))


def test_there_are_spaces():
    assert {"litepose", "litepose-blocks", "litepose-tiny"} <= set(SPACES)


@pytest.mark.parametrize("check", QUICK.values(), ids=QUICK.keys())
def test_property(case, check):
    for arch in case.archs(4):
        case.ask(check, arch)


@pytest.mark.parametrize("check", QUICK.values(), ids=QUICK.keys())
def test_property_odd_sizes(case, check):
    for arch in case.archs(3)[1:]:
        case.ask(check, arch, ODD)


def test_bfloat16(case):
    with torch.autocast("cpu", torch.bfloat16):
        for arch in case.archs(3):
            properties.subnet_equals_extraction(case.supernet, arch, case.inputs())


def test_channels_last(case):
    for arch in case.archs(3):
        inputs = tuple(_channels_last(x) for x in case.inputs())
        properties.subnet_equals_extraction(case.channels_last, arch, inputs)
        # What is frozen is in the store's format, and in a fresh network's: other algorithms, other roundings.
        properties.fresh_net_is_equal(case.channels_last, arch, inputs, 0.0 if arch.clip_length == 1 else 1e-3)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    single = x.flatten(0, -4).contiguous(memory_format=torch.channels_last)
    return single.unflatten(0, x.shape[:-3])


def test_narrow_lies_inside_wide(case):
    if not case.nested:
        pytest.skip("its family does not claim it")
    for arch in case.archs(4):
        case.lies_inside_widest(arch)
        case.lies_inside_widest(arch, ODD)


def test_convolutions_equal_fvcore(case):
    if case.attends:
        pytest.skip("it has products that fvcore counts under other names")
    for arch in case.archs(4):
        properties.convolutions_equal_fvcore(case.supernet, arch, case.inputs())


def test_peak(case):
    if case.supernet.space.task == "temporal":
        pytest.skip("the peak is that of a clip frame by frame, as online; here its frames are in memory together")
    _, smallest, arch = properties.sampled(case.supernet.space, 3)
    properties.peak_is_exact(case.supernet, smallest, case.inputs(*ODD))  # slow to trace: the others in the slow tests
    if not case.thinned:
        properties.peak_is_exact(case.supernet, arch, case.inputs())


def test_exports(case):
    properties.exports(case.supernet, case.supernet.space.smallest, case.inputs())


def test_compiles(case):
    smallest = case.supernet.space.smallest
    if len(smallest.plan(JOINTS)) > 8:
        pytest.skip("compiling a deep network takes long: test_compiles_slow")
    properties.compiles(case.supernet, smallest, case.inputs())


def test_random_archs_build(case):
    if case.thinned:
        pytest.skip("the whole space is built below, sizes alone")
    properties.all_build(case.supernet, 200)


@pytest.mark.parametrize("name", SPACES)
def test_full_size_spaces_build_and_cost_what_they_say(name):
    space = Space.load(name)
    if not full_size(space):
        pytest.skip("tested whole")
    with torch.device("meta"):  # sizes alone
        supernet = Supernet(space, JOINTS, device="meta")
    properties.all_build(supernet, 10)
    properties.cost_is_exact(supernet, space.sample(random.Random(1)), pictures(*ODD, frames=space.widest.clip_length))


def test_learned_kernel_maps():
    supernet = properties.rough_supernet(Space.load("litepose-tiny"), JOINTS, kernel_maps=True)
    for arch in properties.sampled(supernet.space, 6):
        properties.subnet_equals_extraction(supernet, arch, pictures())
        properties.independent_of_what_ran(supernet, arch, pictures())


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_property_slow(whole, check):
    if check is properties.peak_is_exact and whole.supernet.space.task == "temporal":
        pytest.skip("the peak is that of a clip frame by frame")
    for arch in whole.archs(50):
        whole.ask(check, arch)
        whole.ask(check, arch, ODD)


@pytest.mark.slow
def test_a_thousand_archs_build_slow(whole):
    properties.all_build(whole.supernet, 1000)


@pytest.mark.slow
def test_other_properties_slow(whole):
    for arch in whole.archs(50):
        if whole.nested:
            whole.lies_inside_widest(arch)
        if not whole.attends:
            properties.convolutions_equal_fvcore(whole.supernet, arch, whole.inputs(*ODD))
        properties.exports(whole.supernet, arch, whole.inputs())
        with torch.autocast("cpu", torch.bfloat16):
            properties.subnet_equals_extraction(whole.supernet, arch, whole.inputs())
        properties.subnet_equals_extraction(whole.channels_last, arch, whole.inputs())


@pytest.mark.slow
def test_compiles_slow(whole):
    for arch in whole.archs(6):
        properties.compiles(whole.supernet, arch, whole.inputs())
