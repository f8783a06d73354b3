"""Runtimes: what opens a network's file with a number of threads, and runs it.

Each file here stands alone: it needs Python 3.8, numpy and its own package, so that it also runs where nothing else of
this project is (latency/standalone/worker.py). It offers `open_session(path, threads)` and `version()`; see base.py.
"""
