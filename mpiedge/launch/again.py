"""Starts a job again when it was lost, on the hosts that are left, from its last checkpoint.

MPI cannot go on without a rank that died (a whole host takes the job with it, a cut cable lets it
wait for ever), so recovery is a new start: what was reached is on the disks, and all is planned
anew for the ranks there are.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mpiedge.errors import NotWritten
from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host
from mpiedge.launch.supervise import Outcome

STAYS = (0, 2, NotWritten.code)  # exit codes: what is done, wrong or full stays so
_LOOK = 2.0  # seconds between two questions whether a host is back


class Limits(NamedTuple):
    """How much is done for a job."""

    restarts: int
    rejoin: float = 0.0  # seconds to wait for lost hosts


class Reached(NamedTuple):
    """How far a job has come, as far as this machine knows."""

    step: int = 0
    checkpoint: int | None = None  # the update after which the last was written


class Surroundings(NamedTuple):
    """What restarting is made of, besides the job."""

    run: Callable[[Job], Outcome]
    reached: Callable[[], Reached]
    """Of what this launch has started."""
    answering: Callable[[Sequence[Host]], frozenset[str]]
    """The hosts that are there, by name."""
    say: Callable[[str], None] = lambda line: print(f"mpiedge: {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Attempt:
    """What became of one start."""

    began: float  # seconds since 1970
    seconds: float
    ranks: int
    outcome: Outcome
    reached: Reached
    lost: tuple[str, ...] = ()  # hosts

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.began))
        ranks = f"{self.ranks} rank{'s' if self.ranks > 1 else ''}"
        end = f"{clock}, {ranks}, {self.seconds:.0f} s: {ending(self.outcome)}"
        if self.outcome.code == 0:
            return end
        kept = self.reached.checkpoint
        where = "no checkpoint" if kept is None else f"checkpoint after update {kept}"
        gone = f"; lost: {', '.join(self.lost)}" if self.lost else ""
        return f"{end} at step {self.reached.step}, {where}{gone}"


def ending(outcome: Outcome) -> str:
    """How a start ended, in words."""
    return "finished" if outcome.code == 0 else f"ended with exit code {outcome.code}"


def keep_going(job: Job, limits: Limits, around: Surroundings) -> int:
    """Run a job, start it again while that helps, and return its exit code.

    It does not where the job finished, was told to end, was given what cannot be used, or has no
    room for its result.
    """
    attempts: list[Attempt] = []
    first = job
    while True:
        began, start = time.time(), time.monotonic()
        outcome = around.run(job)
        took = time.monotonic() - start
        attempts.append(Attempt(began, took, job.ranks, outcome, around.reached()))
        left = limits.restarts + 1 - len(attempts)
        if outcome.code in STAYS or outcome.told or not left:
            break
        here = _hosts_left(job, limits.rejoin, around)
        lost = tuple(host.name for host in job.hosts if host not in here)
        attempts[-1] = replace(attempts[-1], lost=lost)
        around.say(f"start {len(attempts)}: {attempts[-1]}")
        left_over = replace(without(job, here), program=first.program)
        job = resumed(left_over, attempts[-1].reached, whole=left_over.hosts == first.hosts)
        around.say(f"starting again with {job.ranks} ranks; restarts left after it: {left - 1}")
    if len(attempts) > 1:
        for number, attempt in enumerate(attempts, start=1):
            around.say(f"start {number} of {len(attempts)}: {attempt}")
    return attempts[-1].outcome.code


def _hosts_left(job: Job, rejoin: float, around: Surroundings) -> tuple[Host, ...]:
    """The job's hosts that answer, this machine first; waits so long for all of them."""
    if not job.hosts:
        return ()
    first, *others = job.hosts
    end = time.monotonic() + rejoin
    while True:
        there = around.answering(others)
        silent = [host.name for host in others if host.name not in there]
        if not silent or time.monotonic() >= end:
            return (first, *(host for host in others if host.name in there))
        left = end - time.monotonic()
        around.say(f"waiting {left:.0f} s more for {', '.join(silent)}")
        time.sleep(min(_LOOK, max(0.0, left)))


def without(job: Job, here: tuple[Host, ...]) -> Job:
    """The job on the hosts that are left; one on this machine alone stays as it is."""
    if not job.hosts or here == job.hosts:
        return job
    # a host alone needs no network, as a job that was started on it would not
    hosts = here if len(here) > 1 else ()
    return replace(job, ranks=sum(host.slots for host in here), hosts=hosts)


def resumed(job: Job, reached: Reached, whole: bool = True) -> Job:
    """The job as it goes on from its last checkpoint, where there is one.

    ``whole``: all hosts are there.  A checkpoint of which something is missing then is damaged for
    good, and where it was the only one the train begins anew; else its parts may still be on a
    host that is away.
    """
    if reached.checkpoint is None or any(w.partition("=")[0] == "--resume" for w in job.program):
        return job
    return replace(job, program=(*job.program, "--resume", "auto" if whole else "latest"))
