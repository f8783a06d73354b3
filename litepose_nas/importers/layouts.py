"""The foreign layouts that are known."""

from __future__ import annotations

from litepose_nas.importers import davit, efficientvit, higherhrnet, mobilevit, vipnas

LAYOUTS = (*davit.LAYOUTS, *efficientvit.LAYOUTS, *higherhrnet.LAYOUTS, *mobilevit.LAYOUTS, *vipnas.LAYOUTS)
