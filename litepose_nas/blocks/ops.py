"""Operations as counters see them: what one computes, what it stores, and what must be in memory while it runs."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks import ceil_div


class Op(NamedTuple):
    """One convolution, deconvolution, linear map or matrix product, with the normalisation and activation behind it."""

    macs: int
    params: int
    norm: int = 0  # channels of batch normalisation: their two running statistics are stored as well
    norm_elements: int = 0
    act_elements: int = 0
    extra_macs: int = 0  # what a deconvolution gains when counted on its output grid, as LitePose's paper does
    live: int = 0  # elements made inside the block that are in memory while this runs, its own output included
    inputs: tuple[int, ...] = ()  # which inputs of the block must still be in memory


def conv(
    h: int,
    w: int,
    cin: int,
    cout: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    *,
    norm: bool = True,
    act: bool = True,
    bias: bool = False,
    held: int = 0,
    inputs: tuple[int, ...] = (),
) -> Op:
    """Return a padded convolution on h x w; `held` counts the block's other elements in memory beside its output."""
    out = ceil_div(h, stride) * ceil_div(w, stride)
    weights = cout * (cin // groups) * kernel * kernel
    return Op(
        macs=out * weights,
        params=weights + cout * bias + 2 * cout * norm,
        norm=cout * norm,
        norm_elements=out * cout * norm,
        act_elements=out * cout * act,
        live=held + out * cout,
        inputs=inputs,
    )


def deconv(
    h: int,
    w: int,
    cin: int,
    cout: int,
    kernel: int,
    groups: int = 1,
    *,
    norm: bool = False,
    act: bool = False,
    held: int = 0,
    inputs: tuple[int, ...] = (),
) -> Op:
    """Return a deconvolution of stride 2 on h x w, counted on its input grid."""
    weights = cin * (cout // groups) * kernel * kernel
    return Op(
        macs=h * w * weights,
        params=weights + 2 * cout * norm,
        norm=cout * norm,
        norm_elements=4 * h * w * cout * norm,
        act_elements=4 * h * w * cout * act,
        extra_macs=3 * h * w * weights,
        live=held + 4 * h * w * cout,
        inputs=inputs,
    )
