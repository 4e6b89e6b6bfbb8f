"""How a job of several ranks ends when one of them fails.

MPI leaves the other ranks waiting for ever when one raises, so a rank's whole work is wrapped:
its failure is told once, with its name, and takes the job down at once.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mpiedge.comm.connect import Connection
from mpiedge.comm.interruption import Terminated, deaf, interruptible
from mpiedge.comm.last_resort import within
from mpiedge.comm.values import SharedBadInput
from mpiedge.errors import BadInput, DiskError, RankLost, Stopped
from mpiedge.trace import told

INTERRUPTED, TERMINATED, FAILED, BAD_INPUT = 130, 143, 1, 2  # exit codes

_PATIENCE = 5.0  # seconds that ending the job may take; it hangs if a host cannot be reached


@contextmanager
def ends_job(transport: Connection) -> Iterator[None]:
    """A rank's whole work: if it fails, all ranks end."""
    with interruptible():
        try:
            with _failing_together(transport):
                yield
        except (KeyboardInterrupt, Terminated) as asked:
            # Also while a failure is being dealt with: another rank may have failed first and
            # be ending this one.
            _leave_quietly(transport, asked)


@contextmanager
def _failing_together(transport: Connection) -> Iterator[None]:
    try:
        yield
    except (SharedBadInput, Stopped):
        raise  # every rank does, so each can end by itself
    except (Exception, SystemExit) as failure:
        if transport.size > 1 and _code(failure) != 0:
            _end_all(transport, failure)
            deaf()  # a rank that failed first ends this one, which by now is ending anyway
            # Abort can come back while the job is being ended already.  All is said by now.
            raise SystemExit(_code(failure)) from None
        raise


def described(transport: Connection, failure: Exception) -> str:
    """What is printed about a failure."""
    if isinstance(failure, RankLost):
        return str(failure)
    name = f"rank {transport.rank} of {transport.size} on {socket.gethostname()}:"
    if isinstance(failure, BadInput | DiskError):
        return f"{name} {failure}"
    words = told(failure)
    return f"{name}\n{words}" if "\n" in words else f"{name} {words}"


def _end_all(transport: Connection, failure: BaseException) -> None:
    if isinstance(failure, Exception):
        sys.stderr.write(f"{described(transport, failure)}\n")  # in one piece, as ranks share it
        sys.stderr.flush()
    sys.stdout.flush()
    within(_PATIENCE, lambda: transport.abort(_code(failure)))


def _code(failure: BaseException) -> int:
    if isinstance(failure, SystemExit):
        return failure.code if isinstance(failure.code, int) else int(failure.code is not None)
    if isinstance(failure, DiskError):
        return failure.code
    return BAD_INPUT if isinstance(failure, BadInput) else FAILED


def _leave_quietly(transport: Connection, asked: BaseException) -> None:
    deaf()
    code = TERMINATED if isinstance(asked, Terminated) else INTERRUPTED
    if transport.size > 1:
        within(_PATIENCE, lambda: transport.abort(code))
    raise SystemExit(code)
