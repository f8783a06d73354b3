"""The command litepose-nas, also as `python -m litepose_nas`.

It is this small so that Ctrl-C ends it in silence from the first moment on, while everything else is still imported.
"""

import os
import signal
import sys
from typing import Any


def main() -> None:
    before = signal.getsignal(signal.SIGINT)
    heard = before is signal.default_int_handler  # under nohup it stays ignored
    if heard:
        # Not as a KeyboardInterrupt: C extensions make other errors of one that comes while they are imported.
        signal.signal(signal.SIGINT, _leave)
    try:
        from litepose_nas.cli import main as command
    except Exception as error:  # an installation in which something is missing or broken
        from litepose_nas import crash

        code, line = crash.ending(error)
        sys.stderr.write(f"error: {line}\n")
        sys.exit(code)
    if heard:
        signal.signal(signal.SIGINT, before)
    command()


def _leave(*_: Any) -> None:
    os._exit(130)


if __name__ == "__main__":  # processes of the demo import this module as well
    main()
