"""Runtimes: what opens a network's file with a number of threads, and runs it."""
