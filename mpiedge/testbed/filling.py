"""``python -m mpiedge.testbed.filling VERSION GROUP SECONDS``: takes a device's memory, on it.

It takes more and more until the kernel kills the largest other process in the device's group.
Then, or after so many seconds, it gives everything back.  Now and then the kernel finds the memory
of what it killed not yet free, and kills this process too, as the next in turn: never another.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import psutil

from mpiedge.testbed import groups
from mpiedge.testbed.groups import Trees

STEP = 2**18  # bytes: less than what dies gives back
PAUSE = 0.05  # seconds between two looks, when there is nothing left to take
FIRST, SECOND = "1000", "999"  # to the kernel: kill this before anything that does not say so
OWN = Path("/proc/self/oom_score_adj")


def main(arguments: Sequence[str]) -> int:
    """Fill the memory of a group; 0 if something was killed for it."""
    version, path, seconds = arguments
    at = Trees(int(version), Path(path), Path(path))
    before = groups.kills(at)
    others = [pid for pid in groups.processes(at) if pid != os.getpid()]
    OWN.write_text(SECOND, encoding="ascii")
    with offered(largest(others)):
        killed = fill(lambda: groups.kills(at) > before, lambda: spare(at), float(seconds))
    return 0 if killed else 1


@contextlib.contextmanager
def offered(process: int | None) -> Iterator[None]:
    """Have the kernel kill this process before any other.

    The other way round, that the rest is spared, is more than root may ask for in a container.
    """
    path = Path(f"/proc/{process}/oom_score_adj")
    before = None
    with contextlib.suppress(OSError):  # it has ended
        before = path.read_text(encoding="ascii")
        path.write_text(FIRST, encoding="ascii")
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):
                path.write_text(before, encoding="ascii")


def largest(processes: Sequence[int]) -> int | None:
    """Which of these processes has most memory of its own; None: all have ended."""
    found: list[tuple[int, int]] = []
    for pid in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append((psutil.Process(pid).memory_info().rss, pid))
    return max(found)[1] if found else None


def spare(at: Trees) -> bool:
    """Whether more can be taken: something else is there to be killed."""
    return len(groups.processes(at)) > 1


def fill(killed: Callable[[], bool], more: Callable[[], bool], seconds: float) -> bool:
    """Take memory until something was killed, for at most some seconds; whether it was."""
    end = time.monotonic() + seconds
    # A file in memory belongs to the group, but does not make this process a large one.
    with open(os.memfd_create("filling"), "wb", buffering=0) as held:
        while time.monotonic() < end and not killed():
            if not (more() and _taken(held)):
                time.sleep(PAUSE)
        return killed()


def _taken(held: IO[bytes]) -> bool:
    try:
        return held.write(bytes(STEP)) > 0
    except OSError:  # nothing was left to be killed for it
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
