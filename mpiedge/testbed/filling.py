"""``python -m mpiedge.testbed.filling VERSION GROUP SECONDS``: takes a device's memory, on it.

It takes more and more until the kernel kills something else in the device's group.  Then, or after
so many seconds, it gives everything back.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from mpiedge.testbed import groups
from mpiedge.testbed.groups import Trees

STEP = 2**18  # bytes: less than what dies gives back
PAUSE = 0.05  # seconds between two looks, when there is nothing left to take
FIRST = "1000"  # to the kernel: kill this before anything that does not say so


def main(arguments: Sequence[str]) -> int:
    """Fill the memory of a group; 0 if something was killed for it."""
    version, path, seconds = arguments
    at = Trees(int(version), Path(path), Path(path))
    before = groups.kills(at)
    others = [pid for pid in groups.processes(at) if pid != os.getpid()]
    with offered(others):
        killed = fill(lambda: groups.kills(at) > before, lambda: spare(at), float(seconds))
    return 0 if killed else 1


@contextlib.contextmanager
def offered(processes: Sequence[int]) -> Iterator[None]:
    """Have the kernel kill one of these processes, the largest, before this one.

    The other way round, that this one is spared, is more than root may ask for in a container.
    """
    files = [Path(f"/proc/{pid}/oom_score_adj") for pid in processes]
    before: dict[Path, str] = {}
    for path in files:
        with contextlib.suppress(OSError):  # it has ended
            before[path] = path.read_text(encoding="ascii")
            path.write_text(FIRST, encoding="ascii")
    try:
        yield
    finally:
        for path, value in before.items():
            with contextlib.suppress(OSError):
                path.write_text(value, encoding="ascii")


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
