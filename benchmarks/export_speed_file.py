"""Write a network with random weights for export_speed.py: python export_speed_file.py NETWORK WAY FILE"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.parity import shape_of
from litepose_nas.exporters.table import FORMATS
from litepose_nas.network import build
from litepose_nas.resolve import resolve

JOINTS = 17


def main() -> None:
    network, way, file = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a converter prints must not come between
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arch = resolve(network, JOINTS).subnet.arch
    net = build(arch, JOINTS)
    image = torch.randn(1, *shape_of(arch.input))
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None
        net.train()(torch.randn(4, *shape_of(arch.input)))
        wanted = net.eval()(image)
    path = Path(file)
    if way == "litert plain":
        from litepose_nas.exporters.litert import write_tflite

        write_tflite(net, arch.input, path)
    elif way == "executorch plain":
        from litepose_nas.exporters.executorch import write_pte

        write_pte(net, arch.input, path)
    else:
        outputs = arch.space.family.outputs[: len(wanted)]
        format = "onnx" if way == "onnxruntime" else way
        FORMATS[format].write(Exported(net, arch, JOINTS, arch.input, outputs, {}), path)
    found = FORMATS["onnx" if way == "onnxruntime" else way.split()[0]].open(path)(image.numpy())
    apart = max(float(abs(torch.from_numpy(one) - other).max()) for one, other in zip(found, wanted, strict=True))
    share = apart / max(float(one.abs().max()) for one in wanted)
    replies.write(json.dumps({"shape": [1, *shape_of(arch.input)], "share": share}) + "\n")


if __name__ == "__main__":
    main()
