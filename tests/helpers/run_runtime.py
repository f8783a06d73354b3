"""Run a network's file in any interpreter: python run_runtime.py RUNTIME_FILE NETWORK PICTURE.npy OUTPUTS.npz"""

import importlib.util
import sys

import numpy as np


def main():
    runtime_file, network, picture, outputs = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("runtime", runtime_file)
    runtime = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runtime)
    session = runtime.open_session(network, 1)
    np.savez(outputs, *session(np.load(picture)))


if __name__ == "__main__":
    main()
