"""Imports without the garbage collector, and an end that does not wait for it."""

import gc
import subprocess
import sys

import pytest

from mpiedge.cli.loading import loading

ENDS = """
import atexit, gc
from mpiedge.cli.loading import loading
atexit.register(lambda: print(gc.get_freeze_count() > 0))
with loading():
    pass
print(gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_as_it_was(collects: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        with pytest.raises(ImportError), loading():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() is collects
    finally:
        (gc.enable if was else gc.disable)()


def test_what_was_imported_is_left_as_it_is_at_the_end_of_the_process() -> None:
    done = subprocess.run(
        (sys.executable, "-c", ENDS), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "True"]
