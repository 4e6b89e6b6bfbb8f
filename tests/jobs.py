"""Jobs of several ranks as a user starts them: watched, disturbed, and looked at when they end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.mpirun import LOCAL, MPIRUN, YIELD, environment

MPIEDGE = (sys.executable, "-m", "mpiedge")
RUN_AFTER_RUN = Path(__file__).with_name("run_after_run.py")


class Ended(NamedTuple):
    """How a job ended."""

    code: int
    out: str
    err: str
    left: list[psutil.Process]  # processes that outlived it


def under_mpirun(n: int, *words: str) -> tuple[str, ...]:
    """The command line that runs a command line on ``n`` ranks."""
    return (str(MPIRUN), *LOCAL, *YIELD, "-n", str(n), *words)


class Job:
    """A job that runs, and every process of it that was ever seen."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            words,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._seen: dict[int, psutil.Process] = {}

    def processes(self) -> list[psutil.Process]:
        """Those that run now; kept, to see later whether they have gone."""
        root = psutil.Process(self._process.pid)
        found = [root, *root.children(recursive=True)]
        self._seen.update({each.pid: each for each in found})
        return found

    def rank(self, number: int) -> psutil.Process:
        """The process that is rank ``number``."""
        name = "OMPI_COMM_WORLD_RANK"
        mine = [each for each in self.processes() if each.environ().get(name) == str(number)]
        (rank,) = [each for each in mine if each.ppid() not in {other.pid for other in mine}]
        return rank

    def send_signal(self, number: int) -> None:
        """Send a signal to what the user started."""
        self._process.send_signal(number)

    def until(self, reached: Callable[[], bool], limit: float = 60.0) -> None:
        """Wait for the job to have come so far."""
        end = time.monotonic() + limit
        while not reached():
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < end, "the job did not come so far"
            self.processes()
            time.sleep(0.05)

    def end(self, limit: float) -> Ended:
        """Wait for the job to end by itself."""
        out, err = self._process.communicate(timeout=limit)
        _, left = psutil.wait_procs(list(self._seen.values()), timeout=2)
        return Ended(self._process.returncode, out, err, left)

    def kill(self) -> None:
        """End whatever is left."""
        for each in self._seen.values():
            if each.is_running():
                each.kill()
        self._process.kill()
        self._process.communicate()


@contextmanager
def job(words: Sequence[str]) -> Iterator[Job]:
    """Start a job; nothing of it is left afterwards."""
    started = Job(words)
    try:
        yield started
    finally:
        started.kill()


def ended(words: Sequence[str], limit: float = 90.0) -> Ended:
    """Run a job to its end."""
    with job(words) as started:
        return started.end(limit)


def training(run_file: Path, output: Path, changes: Sequence[str]) -> list[str]:
    """The words that train by a run file with some of its settings changed."""
    changed = [word for change in changes for word in ("--set", change)]
    return ["train", str(run_file), *changed, "--output-dir", str(output)]


def trained(n: int, run_file: Path, ways: Mapping[str, Sequence[str]]) -> Path:
    """What ``n`` ranks train in each of these ways, in a folder with a folder for each.

    One job does it all, run after run: most of a short one is its start.
    """
    folder = run_file.parent / "together"
    lines = [training(run_file, folder / way, changes) for way, changes in ways.items()]
    end = ended(under_mpirun(n, sys.executable, str(RUN_AFTER_RUN), json.dumps(lines)))
    assert end.code == 0, end.err
    return folder


def steps(folder: Path) -> int:
    """How many steps a run has written down so far."""
    path = folder / "metrics.jsonl"
    return path.read_text(encoding="utf-8").count("loss") if path.exists() else 0
