"""One process at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.store.lock import Lock

HOLD = """
import sys, time
from pathlib import Path
from mpiedge.store.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_another_process_has_it_until_it_ends(tmp_path: Path) -> None:
    words = (sys.executable, "-c", HOLD, str(tmp_path))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match=rf"in use by another process \({other.pid}\)"):
            Lock(tmp_path)
        other.kill()
        other.wait()
    Lock(tmp_path).release()


def test_it_can_be_released_twice(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(BadInput, match=rf"\({os.getpid()}\); wait until it has ended"):
        Lock(tmp_path)
    lock.release()
    lock.release()
    Lock(tmp_path).release()
