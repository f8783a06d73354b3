"""Measure the networks of this kit on this device: python3 run.py. See README.txt."""

import sys

if sys.version_info < (3, 8):  # noqa: UP036  on a device it may be any
    sys.exit("error: this Python is too old, a kit needs 3.8 or newer: " + sys.version.split()[0])

if __name__ == "__main__":
    from standalone.kit_run import main

    sys.exit(main())
