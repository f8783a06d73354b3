"""A runtime of a device that does not exist, whose times are known: roofline, overhead of each operation, noise.

A network's file is JSON: see write_simulated. The environment variable SIMULATED says what the device is like:
`noise` (how much the device is disturbed, another time every 25 calls), `slow` (how much slower than it should be),
`dies` (the process ends at this call), `refuses` (networks of more operations are not opened), `surprises` (how many
times as long the networks take whose true times it names).
"""

import json
import os
import random
import sys

PEAK = 50e6  # multiplications a millisecond
BANDWIDTH = 8e6  # bytes a millisecond
OVERHEAD = 0.004  # milliseconds of an operation
DEPTHWISE = 2.5  # a depthwise multiplication takes so much longer


def truth(operations):
    """Milliseconds of a network: each operation takes its multiplications or its bytes, whichever is longer."""
    return sum(
        OVERHEAD + max((DEPTHWISE if depthwise else 1.0) * macs / PEAK, moved / BANDWIDTH)
        for macs, moved, depthwise in operations
    )


def version():
    return "1.0"


def open_session(path, threads=None):
    with open(path) as file:
        operations = json.load(file)
    device = json.loads(os.environ.get("SIMULATED", "{}"))
    if len(operations) > device.get("refuses", 10**9):
        raise ValueError("too many operations for this device")
    surprise = device.get("surprises", {}).get(f"{truth(operations):.9f}", 1.0)
    return SimulatedSession(surprise * truth(operations) / (threads or 1), device, path)


class SimulatedSession:
    keeps_time = True

    def __init__(self, milliseconds, device, path):
        self.milliseconds, self.device, self.calls = milliseconds, device, 0
        self.rng, self.disturbed = random.Random(path.rpartition("/")[2]), 0.0

    def ready(self, batch):
        def run():
            self.calls += 1
            if self.calls == self.device.get("dies"):
                sys.stderr.write("out of memory\n")
                sys.stderr.flush()
                os._exit(9)
            if self.calls % 25 == 1:
                self.disturbed = abs(self.rng.gauss(0, self.device.get("noise", 0.0)))  # time is only ever lost
            return self.milliseconds * self.device.get("slow", 1.0) * (1 + self.disturbed)

        return run
