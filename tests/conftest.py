"""What holds for every test."""

import os

import pytest

# One thread in each process, before anything imports torch: more only get in each other's way in small operations.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("RAY_ADDRESS", None)  # a cluster that somebody runs is none of a test's business
pytest.register_assert_rewrite("tests.helpers")
