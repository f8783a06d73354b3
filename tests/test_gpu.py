"""The same properties on CUDA, for every shipped space and every hard part: fp32, bf16, channels_last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from litepose_nas import resources
from litepose_nas.space import Space
from tests.helpers import hard_spaces, properties
from tests.helpers.hard_spaces import Hard
from tests.helpers.properties import NESTED, WINDOWS, rough_supernet, sampled

pytestmark = pytest.mark.gpu

JOINTS = 3
SHIPPED = {name: Hard(Space.load(name)) for name in resources.names("search_spaces", ".yaml")}
SPACES = SHIPPED | hard_spaces.SPACES
# cuDNN chooses its algorithm by the layout of a weight too, and a window's differs from its copy's.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


@pytest.fixture(scope="module", autouse=True)
def same_algorithms() -> Iterator[None]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        yield
        torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture(scope="module", params=SPACES.values(), ids=SPACES.keys())
def hard(request: pytest.FixtureRequest) -> Hard:
    return request.param


def inputs(layout: torch.memory_format) -> properties.Inputs:
    return tuple(x.to("cuda", memory_format=layout) for x in hard_spaces.inputs(77, 51))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", WINDOWS)
def test_property(hard, layout, dtype, name):
    supernet = rough_supernet(hard.space, JOINTS, device="cuda", memory_format=layout)
    for arch in sampled(hard.space, 6):
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            WINDOWS[name](supernet, arch, inputs(layout), tolerance=TOLERANCE[dtype])


def test_what_is_said_to_nest_nests(hard):
    supernet = rough_supernet(hard.space, JOINTS, device="cuda")
    claims = hard.nests or [({}, {})]
    if hard.space.name in SHIPPED:
        nested = hard.space.family.name in NESTED
        claims = [(arch.to_dict(), {}) for arch in sampled(hard.space, 6)] if nested else []
    for narrow, wide in claims:
        arch, around = (hard_spaces.departing(hard.space, departures) for departures in (narrow, wide))
        properties.lies_inside(supernet, arch, around, inputs(torch.contiguous_format), tolerance=1e-4)


def test_compiles(hard):
    supernet = rough_supernet(hard.space, JOINTS, device="cuda")
    properties.compiles(supernet, hard.space.smallest, inputs(torch.contiguous_format))
