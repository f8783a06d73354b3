"""The tests of LiteRT and ExecuTorch, in the environments that scripts/runtimes makes for them."""

import subprocess
import sys
import sysconfig
from importlib.util import find_spec

import pytest

from tests.helpers.commands import ROOT, environment

NEEDS = {"litert": "litert_torch", "executorch": "executorch"}
FILES = ("tests/test_xnnpack_formats.py", "tests/test_export_formats.py")


@pytest.mark.runtime
@pytest.mark.parametrize("name", NEEDS)
def test_tests_pass_where_the_runtime_is(name):
    """Its own packages come first, but for torch; what it lacks, pytest for one, is this interpreter's."""
    python = ROOT / ".runtimes" / name / "bin" / "python"
    if find_spec(NEEDS[name]) or not python.exists():
        pytest.skip(f"scripts/runtimes {name} makes its environment")
    ours = sysconfig.get_paths()["purelib"]
    words = [python, "-m", "pytest", "-p", "no:cacheprovider", "-m", "runtime and not slow", "-k", name, *FILES]
    how = environment(PYTHONPATH=f"{ROOT}:{ours}", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = subprocess.run(words, cwd=ROOT, env=how, capture_output=True, text=True, check=False)
    if "No module named" in done.stdout + done.stderr and sys.version_info[:2] != version(python):
        pytest.skip(f"{python} is another version of Python")
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout


def version(python):
    words = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    return tuple(map(int, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()))
