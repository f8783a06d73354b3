"""Convert networks in a process of its own, in an interpreter that has the converter: python convert_worker.py FORMAT

It says one line of JSON with the versions of the converter's packages. Each line that comes in describes a network and
the file to write.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from litepose_nas import files
from litepose_nas.errors import UserError
from litepose_nas.exporters.measured import MEASURED_FORMATS, MeasuredFormat
from litepose_nas.latency.samples import space_of
from litepose_nas.runs.environment import version


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a converter prints must not come between the replies

    def reply(value: dict[str, Any]) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    (name,) = sys.argv[1:]
    form = MEASURED_FORMATS[name]
    reply({"versions": {package: version(package) for package in form.converter}})
    for line in sys.stdin:
        reply(_convert(form, json.loads(line)))


def _convert(form: MeasuredFormat, wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        arch = space_of(wanted["space"], wanted["described"], "converter").arch(wanted["arch"])
        with files.replacing(wanted["path"]) as temporary:
            form.write(arch, wanted["joints"], temporary)
    except UserError as error:
        return {"refused": str(error)}
    except Exception as error:  # whatever a converter stumbles over
        return {"failed": f"{type(error).__name__}: {error}"[:500]}
    return {"written": wanted["path"]}


if __name__ == "__main__":
    main()
