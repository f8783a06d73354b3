"""LitePose's own JSON of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litepose_nas.errors import UserError, nearest
from litepose_nas.families.litepose import STRIDES
from litepose_nas.formats.litepose_numbers import BlockNumbers, Numbers, StageNumbers, check_released
from litepose_nas.untrusted.display import short

KEYS = ("img_size", "input_channel", "deconv_setting", "backbone_setting")
STAGE_KEYS = ("num_blocks", "stride", "channel", "block_setting")
LARGEST = 1 << 13  # of a width or size; none of a pose network comes near
DEEPEST = 64  # blocks in a stage


def recognises(data: Mapping[str, Any]) -> bool:
    return any(key in data for key in KEYS)


def numbers(data: Mapping[str, Any], where: str) -> Numbers:
    """Return the numbers in LitePose's JSON, or say which of them our family cannot express."""
    size, stem, head, stages = (_key(data, key, where, "") for key in KEYS)
    head = _list(head, 3, f"{where}: deconv_setting", "widths")
    net = Numbers(
        _whole(size, f"{where}: img_size"),
        _whole(stem, f"{where}: input_channel"),
        tuple(
            _stage(stage, STRIDES[i], where, f"backbone_setting.{i}")
            for i, stage in enumerate(_list(stages, len(STRIDES), f"{where}: backbone_setting", "stages"))
        ),
        tuple(_whole(width, f"{where}: deconv_setting.{i}") for i, width in enumerate(head)),
    )
    check_released(net, where)
    return net


def _stage(stage: Any, stride: int, where: str, at: str) -> StageNumbers:
    if not isinstance(stage, dict):
        raise UserError(f"{where}: {at}: expected a mapping with the keys {', '.join(STAGE_KEYS)}, got {short(stage)}")
    depth, strides, width, blocks = (_key(stage, key, where, f"{at}.") for key in STAGE_KEYS)
    if _whole(strides, f"{where}: {at}.stride") != stride:
        raise UserError(f"{where}: {at}.stride: expected {stride}, got {strides}; our strides are always 2, 2, 2, 1")
    depth = _whole(depth, f"{where}: {at}.num_blocks", DEEPEST)
    blocks = _list(blocks, depth, f"{where}: {at}.block_setting", "[expansion, kernel] pairs, as num_blocks says")
    return StageNumbers(
        _whole(width, f"{where}: {at}.channel"),
        tuple(_block(pair, f"{where}: {at}.block_setting.{j}") for j, pair in enumerate(blocks)),
    )


def _block(pair: Any, at: str) -> BlockNumbers:
    expand, kernel = _list(pair, 2, at, "numbers, [expansion, kernel]")
    if _whole(kernel, f"{at}.1") % 2 == 0:
        raise UserError(f"{at}.1: expected an odd kernel size, got {kernel}")
    return BlockNumbers(kernel, _whole(expand, f"{at}.0"))


def _key(node: Mapping[str, Any], key: str, where: str, prefix: str) -> Any:
    if key not in node:
        raise UserError(
            f"{where}: missing key `{prefix}{key}`; {nearest(key, [short(name)[1:-1] for name in node][:20])}"
        )
    return node[key]


def _list(value: Any, length: int, at: str, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        got = f"{len(value)}" if isinstance(value, list) else short(value)
        raise UserError(f"{at}: expected a list of {length} {what}, got {got}")
    return value


def _whole(value: Any, at: str, largest: int = LARGEST) -> int:
    if type(value) is not int or not 1 <= value <= largest:
        raise UserError(f"{at}: expected a whole number from 1 to {largest}, got {short(value)}")
    return value
