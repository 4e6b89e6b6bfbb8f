"""Ending a process that cannot end in any better way.

Inside MPI a thread may hang where no exception and no signal handler reaches it: in a collective
whose partner died, in ``Init`` or ``Finalize``, in ``Abort`` when a host cannot be reached.  Then
only leaving without goodbye is left.
"""

import faulthandler
import os
import sys
from collections.abc import Callable

STUCK = 75  # exit code of a rank that ``leave`` ended


def within(seconds: float, step: Callable[[], object]) -> None:
    """Take a step inside MPI; if it hangs, show where and end the process.

    mpi4py keeps Python's lock during ``Init``, ``Finalize`` and ``Abort``, so that no other thread
    of Python could end the process then; the one of ``faulthandler`` is not of Python.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or 2)
    try:
        step()
    finally:
        faulthandler.cancel_dump_traceback_later()


def leave(why: str) -> None:
    """End this process now, whatever its other threads are doing."""
    sys.stderr.write(f"{why}\n")
    sys.stderr.flush()
    os._exit(STUCK)
