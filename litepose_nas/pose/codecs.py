"""Codecs of the top-down task: how a joint becomes a heatmap, and a heatmap a joint again.

Joints are continuous coordinates of the network's input on both sides (see data/augment.py). A codec says where in the
input the middles of its heatmap's pixels lie, which is all that published ones differ in beside the Gaussian:

  plain  pixel i stands on the input's pixel i * stride, as a stride leaves it; the Gaussian on the nearest pixel;
         decoded by the largest value and a quarter pixel toward the higher neighbour. A joint comes back within half a
         pixel of the heatmap on each axis.
  udp    the first and the last pixel stand on the input's first and last; the Gaussian on the joint itself.
  dark   pixel i covers its share of the input, as everywhere in this program; the Gaussian on the joint itself.

The latter two are decoded by a Taylor step on the logarithm of the blurred heatmap; a joint comes back exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from litepose_nas.errors import UserError, nearest

REACH = 5  # of the blur before a Taylor step, in pixels
BLUR = 2.0  # its deviation: that of the Gaussians themselves
SUPPORT = 3  # deviations: a joint further outside the heatmap asks nothing of it
TINY = 1e-10  # what the logarithm takes instead of less


# The middles of a heatmap's pixels along one axis of the input: the first, and the step to the next.
Grid = tuple[float, float]


def middles(length: int, count: int) -> Grid:
    """The grid whose every pixel covers its share of the input."""
    return length / count / 2, length / count


def corners(length: int, count: int) -> Grid:
    """The grid that stands on every stride-th pixel of the input, from the first on."""
    return 0.5, length / count


def ends(length: int, count: int) -> Grid:
    """The grid from the input's first pixel to its last."""
    return 0.5, (length - 1) / max(count - 1, 1)


class Codec(NamedTuple):
    grid: Callable[[int, int], Grid]
    whole: bool  # Gaussians stand on whole pixels, and a quarter of a pixel is all that is looked for between them
    shift: bool  # a mirrored picture's heatmaps, mirrored back, lie one pixel too far left


CODECS = {
    "plain": Codec(corners, whole=True, shift=True),
    "udp": Codec(ends, whole=False, shift=False),
    "dark": Codec(middles, whole=False, shift=False),
}


def named_codec(name: str) -> Codec:
    if name not in CODECS:
        raise UserError(f"codec: {name!r} is not one; {nearest(name, CODECS)}")
    return CODECS[name]


def encode(
    joints: Tensor, input_size: tuple[int, int], size: tuple[int, int], codec: Codec, sigma: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Heatmaps (B, J, h, w) of joints (B, J, 3) in pixels of the input, and which joints are asked for."""
    labelled = joints[..., 2] > 0
    axes, near = [], labelled
    for axis, (length, count) in enumerate(zip(input_size[::-1], size[::-1], strict=True)):
        first, step = codec.grid(length, count)
        place = torch.where(labelled, (joints[..., axis] - first) / step, 0.0)
        place = (place + 0.5).floor() if codec.whole else place
        near = near & (place >= -SUPPORT * sigma) & (place <= count - 1 + SUPPORT * sigma)
        pixels = torch.arange(count, device=joints.device)
        axes.append((-((pixels - place[..., None]) ** 2) / (2 * sigma * sigma)).exp())
    across, down = axes
    return down[..., :, None] * across[..., None, :] * near[..., None, None], near


def decode_heatmaps(heatmaps: Tensor, input_size: tuple[int, int], codec: Codec) -> Tensor:
    """The joints (B, J, 3) of heatmaps (B, J, h, w): x, y in pixels of the input, and the largest value."""
    batch, joints, height, width = heatmaps.shape
    maps = heatmaps.flatten(0, 1)
    value, pixel = maps.flatten(1).max(1)
    x, y = pixel % width, pixel // width
    places = (quarter if codec.whole else taylor)(maps, x, y)
    out = []
    for place, length, count in zip(places, input_size[::-1], (width, height), strict=True):
        first, step = codec.grid(length, count)
        out.append(first + step * place)
    return torch.stack([*out, value], dim=1).view(batch, joints, 3)


def quarter(maps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels (x, y) of maps (N, h, w), a quarter nearer to the higher neighbour; not at the edge."""
    height, width = maps.shape[-2:]
    flat = maps.flatten(1)

    def at(x: Tensor, y: Tensor) -> Tensor:
        return flat.gather(1, (y * width + x)[:, None])[:, 0]

    dx = at((x + 1).clamp(max=width - 1), y) - at((x - 1).clamp(min=0), y)
    dy = at(x, (y + 1).clamp(max=height - 1)) - at(x, (y - 1).clamp(min=0))
    dx, dy = dx * ((x > 0) & (x < width - 1)), dy * ((y > 0) & (y < height - 1))
    return x + 0.25 * dx.sign(), y + 0.25 * dy.sign()


def taylor(maps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where the logarithm of blurred maps (N, h, w) peaks near pixels (x, y), by its second-order expansion."""
    height, width = maps.shape[-2:]
    if height < 3 or width < 3:
        return quarter(maps, x, y)
    # At the edge the expansion is made one pixel further in: of a Gaussian's logarithm it is exact anywhere.
    x0, y0 = x.clamp(1, width - 2), y.clamp(1, height - 2)
    # The blur reaches no further than the map does; what it would take from beyond the edge would pull the peak away.
    room = torch.stack([x0 - 1, width - 2 - x0, y0 - 1, height - 2 - y0]).amin(0).clamp(max=REACH)
    log = _blurred(maps, x0, y0, room).clamp(min=TINY).log()  # (N, 3, 3)
    gx, gy = (log[:, 1, 2] - log[:, 1, 0]) / 2, (log[:, 2, 1] - log[:, 0, 1]) / 2
    xx = log[:, 1, 2] - 2 * log[:, 1, 1] + log[:, 1, 0]
    yy = log[:, 2, 1] - 2 * log[:, 1, 1] + log[:, 0, 1]
    xy = (log[:, 2, 2] - log[:, 2, 0] - log[:, 0, 2] + log[:, 0, 0]) / 4
    area = xx * yy - xy * xy
    hill = (area > TINY) & (xx < 0)
    safe = torch.where(hill, area, 1.0)
    across, down = x0 + (xy * gy - yy * gx) / safe, y0 + (xy * gx - xx * gy) / safe
    # A network's heatmap may be no hill at all: nothing takes the joint away from its largest pixel.
    across = torch.where(hill, torch.maximum(torch.minimum(across, x + 1.0), x - 1.0), x.to(across.dtype))
    down = torch.where(hill, torch.maximum(torch.minimum(down, y + 1.0), y - 1.0), y.to(down.dtype))
    return across, down


def _blurred(maps: Tensor, x: Tensor, y: Tensor, room: Tensor) -> Tensor:
    """The 3 x 3 pixels around (x, y) of each map, after a Gaussian that is cut off at its own `room`."""
    span = torch.arange(-REACH, REACH + 1, device=maps.device)
    bell = (-(span.float() ** 2) / (2 * BLUR * BLUR)).exp()
    weights = bell * (span.abs() <= room[:, None])  # (N, 11)
    weights = weights / weights.sum(1, keepdim=True)
    around = torch.arange(-REACH - 1, REACH + 2, device=maps.device)
    height, width = maps.shape[-2:]
    rows, columns = (y[:, None] + around).clamp(0, height - 1), (x[:, None] + around).clamp(0, width - 1)
    places = rows[:, :, None] * width + columns[:, None, :]
    patch = maps.flatten(1).gather(1, places.flatten(1)).unflatten(1, (len(around), len(around)))
    # The weights of three rows, and of three columns, as a matrix: not every runtime has windows or five axes.
    shifted = torch.stack([F.pad(weights, (first, 2 - first)) for first in range(3)], 1)  # (N, 3, 13)
    return shifted @ patch @ shifted.transpose(1, 2)


def mirrored_back(heatmaps: Tensor, mirror: list[int], codec: Codec) -> Tensor:
    back = heatmaps.flip(-1)[:, mirror]
    return torch.cat([back[..., :1], back[..., :-1]], dim=-1) if codec.shift else back
