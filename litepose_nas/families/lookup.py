"""All families by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litepose_nas.errors import UserError, nearest
from litepose_nas.families import litepose, s_vipnas_mbv3, s_vipnas_res50, simple_topdown, temporal
from litepose_nas.families.family import Family
from litepose_nas.families.hrnet_davit import plan as hrnet_davit
from litepose_nas.families.levitpose import plan as levitpose
from litepose_nas.families.mobilevitpose import plan as mobilevitpose

_PLAIN = (hrnet_davit, levitpose, litepose, mobilevitpose, s_vipnas_mbv3, s_vipnas_res50, simple_topdown)
PLAIN = {module.FAMILY.name: module.FAMILY for module in _PLAIN}  # those that are not made of others
NAMES = sorted([*PLAIN, temporal.NAME])


def family_of(tree: Mapping[str, Any]) -> Family:
    name = str(tree.get("family", ""))
    if name not in NAMES:
        raise UserError(f"family: {name!r} is not one; {nearest(name, NAMES)}")
    return temporal.family_of(tree, PLAIN) if name == temporal.NAME else PLAIN[name]
