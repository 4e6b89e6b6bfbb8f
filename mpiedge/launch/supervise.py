"""Runs mpirun, and ends it when it does not end by itself.

mpirun ends with 0 when a host dies, ignores SIGTERM when a cable is pulled and leaves ranks half
a second to leave.  So it runs in a session of its own; signals go to the ranks directly; rank
0's file says how the job ended; and whatever is left after a grace is killed.
"""

import ctypes
import math
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mpiedge.launch import ended, noise, processes, standard_input

LOST = 70  # the exit code of a job that ended without a result
TICK = 0.05  # seconds between two looks at mpirun
LOOK = 2.0  # seconds between two looks at the ranks


class Patience(NamedTuple):
    """How long a job may take to leave, in seconds."""

    done: float = 10.0  # after rank 0's result, or after the last rank of this machine has gone
    told: float = 45.0  # after it was told to end by a signal: it may write a checkpoint first


PATIENCE = Patience()

# Where mpirun keeps its session.  One that is killed leaves it behind, and in a place that all
# share a later mpirun with the same process number would then refuse to start.
_SESSION = "PRTE_MCA_prte_local_tmpdir_base"
_PR_SET_PDEATHSIG = 1
_KILLED = {128 + each: each.name for each in signal.Signals}


class Ending(NamedTuple):
    """What is known when a job is over."""

    reported: int | None  # by rank 0
    mpirun: int | None  # none: it had to be killed
    told: int | None  # the signal that the launcher was given


class Outcome(NamedTuple):
    """How a job ended."""

    code: int
    told: bool = False  # the launcher was told to end it


def supervise(
    words: Sequence[str],
    program: Sequence[str],
    environment: Mapping[str, str],
    *,
    reads: bool = False,
    patience: Patience = PATIENCE,
) -> int:
    """Run a command line of mpirun to its end and return the job's exit code."""
    return attempt(words, program, environment, reads=reads, patience=patience).code


def attempt(
    words: Sequence[str],
    program: Sequence[str],
    environment: Mapping[str, str],
    *,
    reads: bool = False,
    patience: Patience = PATIENCE,
) -> Outcome:
    """Run a command line of mpirun to its end; nothing of it is left on this machine."""
    with tempfile.TemporaryDirectory(prefix="mpiedge-") as folder, _signals() as told:
        place = Path(folder) / "ended.json"
        offered = standard_input.offer(sys.stdin.buffer, Path(folder)) if reads else {}
        process = subprocess.Popen(
            words,
            env={**environment, **offered, ended.VARIABLE: str(place), _SESSION: folder},
            start_new_session=True,
            preexec_fn=_ends_with_launcher(),  # noqa: PLW1509 - it makes one system call
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        errors = _relayed(process, lambda: place.exists() or bool(told))
        watch = _Watch(process, program, place, told, patience)
        try:
            code = watch.wait()
        finally:
            processes.kill(process.pid)
            process.wait()
            errors.join(timeout=2)
        ending = Ending(ended.read(place), code, told[0] if told else None)
        return Outcome(exit_code(ending), bool(told))


def exit_code(ending: Ending) -> int:
    """The exit code of a job: rank 0's word before the signal's before mpirun's."""
    if ending.reported is not None:
        return ending.reported
    if ending.told is not None:
        print(f"mpiedge: ended by {signal.Signals(ending.told).name}", file=sys.stderr)
        return 128 + ending.told
    if not ending.mpirun:
        print("mpiedge: the job ended without a result: a host was lost", file=sys.stderr)
        return LOST
    code = ending.mpirun if ending.mpirun > 0 else 128 - ending.mpirun
    if code in _KILLED:
        print(f"mpiedge: a rank was ended by {_KILLED[code]}; the job is over", file=sys.stderr)
    return code


@dataclass
class _Watch:
    """Waits for mpirun, with a deadline from the moment on when it ought to end."""

    process: subprocess.Popen[bytes]
    program: Sequence[str]
    place: Path
    told: list[int]
    patience: Patience
    due: float = math.inf
    passed_on: int = 0  # of the signals
    next_look: float = 0.0  # at the ranks
    started: bool = False

    def wait(self) -> int | None:
        """mpirun's exit code, or none if it did not end when it ought to."""
        while (code := self.process.poll()) is None:
            self._pass_signals_on()
            if self.place.exists() or self._abandoned():
                self.due = min(self.due, time.monotonic() + self.patience.done)
            if time.monotonic() >= self.due:
                return None
            time.sleep(TICK)
        return code

    def _pass_signals_on(self) -> None:
        for number in self.told[self.passed_on :]:
            self.passed_on += 1
            first = self.passed_on == 1
            self.due = time.monotonic() + (self.patience.told if first else 0)
            ranks = processes.ranks(self.process.pid, self.program)
            if ranks:
                processes.send(ranks, signal.Signals(number))
            else:
                self.process.send_signal(number)

    def _abandoned(self) -> bool:
        """Whether ranks ran here and none does any more: mpirun then waits for a lost host."""
        if time.monotonic() < self.next_look:
            return False
        self.next_look = time.monotonic() + LOOK
        there = bool(processes.ranks(self.process.pid, self.program))
        self.started = self.started or there
        return self.started and not there


def _ends_with_launcher() -> Callable[[], object] | None:
    """Has the kernel end mpirun, and so the job, when the launcher itself is killed."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _relayed(process: subprocess.Popen[bytes], explained: Callable[[], bool]) -> threading.Thread:
    source = process.stderr
    assert source is not None

    def copy() -> None:
        with source:
            noise.relay(source.fileno(), sys.stderr.fileno(), explained)

    thread = threading.Thread(target=copy, daemon=True, name="mpirun's stderr")
    thread.start()
    return thread


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals that ask this process to end, in the order they come."""
    told: list[int] = []
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [each for each in asked if signal.getsignal(each) != signal.SIG_IGN]  # as nohup does
    before = {each: signal.signal(each, lambda number, _: told.append(number)) for each in heeded}
    try:
        yield told
    finally:
        for each, action in before.items():
            signal.signal(each, action)
