"""A converter that does not exist, as litepose_nas/exporters/convert_worker.py answers: files for simulated_runtime.py.

The environment variable SIMULATED_CONVERTER has JSON: `log` (a file that gets a line for each network), `versions`,
`fails` and `dies` (it does at this network).
"""

import json
import os
import sys
from pathlib import Path


def interpreter(folder):
    """A program that runs scripts as this interpreter does, but for the conversion of networks."""
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *convert_worker.py) exec "{sys.executable}" "{Path(__file__)}" ;; esac\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    return str(python)


def main():
    wishes = json.loads(os.environ["SIMULATED_CONVERTER"])
    log = Path(wishes["log"])
    print(json.dumps({"versions": wishes.get("versions", {"torch": "2", "simulated": "1"})}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        with log.open("a") as file:
            file.write(json.dumps(wanted["arch"]) + "\n")
        count = log.read_text().count("\n")
        if count == wishes.get("dies"):
            sys.stderr.write("out of memory\n")
            sys.stderr.flush()
            os._exit(9)
        if count == wishes.get("fails"):
            print(json.dumps({"failed": "RuntimeError: no such operation"}), flush=True)
            continue
        Path(wanted["path"]).parent.mkdir(exist_ok=True)
        Path(wanted["path"]).write_text(json.dumps([[1e6 * count, 1e3, False]]))
        print(json.dumps({"written": wanted["path"]}), flush=True)


if __name__ == "__main__":
    main()
