"""``python -m mpiedge.testbed.guard FOLDER TOKEN``: takes down what a killed command leaves.

Nothing can be done by a process that is killed with SIGKILL.  So another one, in a session of its
own, holds the end of a pipe: it closes with the command, however that ends.
"""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from mpiedge.testbed.building import build, take
from mpiedge.testbed.removing import remove
from mpiedge.testbed.standing import Standing, abandoned, load

RELEASE = b"stand"  # what the command says when the testbed is to stay
TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Wait for the end of the command; take down what it left."""
    folder, token = Path(arguments[0]), arguments[1]
    for number in TOLD:
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == RELEASE:
        return 0
    standing = load(folder)
    if standing is not None and standing.token == token:
        remove(standing)
    return 0


@contextlib.contextmanager
def guarded(standing: Standing) -> Iterator[Callable[[], None]]:
    """Make the testbed that is described, and take it down whatever ends the block.

    Gives what is to be called if the testbed is to stay.  A signal that asks the command to end
    becomes SystemExit with the exit code a shell would give; the taking down is not interrupted.
    """
    kept = threading.Event()
    process: subprocess.Popen[bytes] | None = None
    with _ended_by_signals() as calm:
        try:
            take(standing)
            process = _start(standing)
            build(standing)
            yield kept.set
        finally:
            calm()
            if kept.is_set():
                abandoned(standing)
            else:
                remove(standing)
            if process is not None:
                process.communicate(RELEASE if kept.is_set() else b"")


def _start(standing: Standing) -> subprocess.Popen[bytes]:
    words = ("-m", "mpiedge.testbed.guard", str(standing.folder), standing.token)
    return subprocess.Popen(
        (sys.executable, *words),
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """Raises SystemExit when a signal asks this process to end; not once calm was called."""
    deaf = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        if not deaf.is_set():
            raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in TOLD}
    try:
        yield deaf.set
    finally:
        for number, action in before.items():
            signal.signal(number, action)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
