"""Real testbeds for tests: made by the command line, and nothing of them left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mpiedge.testbed import standing
from mpiedge.testbed.findings import findings
from mpiedge.testbed.machine import look
from mpiedge.testbed.removing import remove
from mpiedge.testbed.standing import Standing
from tests.mpirun import environment

LIMIT = 60.0  # seconds


def lacking() -> str:
    """Why this machine cannot have testbeds; empty if it can."""
    found = findings(look(trial=True))
    return found[0] if found else ""


needs_root = pytest.mark.skipif(bool(lacking()), reason=lacking() or "it can")


@dataclass(frozen=True)
class Place:
    """A cluster file of its own name, so that several test runs do not meet."""

    path: Path

    @property
    def cluster(self) -> str:
        return self.path.stem

    def stands(self) -> Standing:
        """The testbed of this cluster."""
        found = standing.load(standing.ROOT / self.cluster)
        assert found is not None, "no testbed stands"
        return found

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start ``mpiedge testbed``, and do not wait for it."""
        return subprocess.Popen(
            (sys.executable, "-m", "mpiedge", "testbed", *words),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def mpiedge(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``mpiedge testbed`` to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def on(self, device: int, script: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program on a device."""
        there = self.stands()
        words = (there.enter(there.devices[device]), sys.executable, "-c", script)
        return subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False)


@contextmanager
def place(folder: Path, text: str) -> Iterator[Place]:
    """A cluster, of which nothing is left afterwards even if a test fails."""
    path = folder / f"t{os.getpid()}-{time.monotonic_ns() % 10**6}.toml"
    path.write_text(text, encoding="utf-8")
    found = Place(path)
    try:
        yield found
    finally:
        left = standing.load(standing.ROOT / found.cluster)
        if left is not None:
            remove(left)


def left(token: str) -> list[str]:
    """What can be found of a testbed: namespaces, groups, files, processes."""
    named = subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True)
    places = [*Path("/sys/fs/cgroup").rglob(f"*{token}*"), *Path("/tmp").glob(f"*{token}*")]
    return [
        *(line for line in named.stdout.splitlines() if token in line),
        *(str(path) for path in [*places, *standing.ROOT.glob(f"*/*{token}*")]),
        *_processes(token),
    ]


def _processes(token: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if f"testbed-{token}" in text:  # TMPDIR of what runs on a device
            found.append(str(path))
    return found


def until(reached: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + limit
    while not reached():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.05)
