"""That a rank is asked to end, by Ctrl-C or SIGTERM, raised wherever it happens to be.

A signal may come while Python runs what lets no exception out, as a weak reference's callback or
a ``__del__``: the exception is printed there and the rank goes on as if nothing had been asked.
"""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_LATER = 0.02  # seconds until a signal comes again that had no effect


class Terminated(BaseException):
    """The process was asked to end."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first SIGTERM raise, and no request be lost, where signals can be caught at all.

    That is in the main thread.

    Raises:
        Terminated: The process was sent SIGTERM.
        KeyboardInterrupt: It was sent SIGINT, as Python raises it anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, prints = signal.signal(signal.SIGTERM, _terminate), sys.unraisablehook

    def swallowed(what: Any) -> None:
        if issubclass(what.exc_type, Terminated):
            signal.signal(signal.SIGTERM, _terminate)
            _thread.start_new_thread(_again, (signal.SIGTERM,))
        elif issubclass(what.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(_again, (signal.SIGINT,))
        else:
            prints(what)

    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = prints
        signal.signal(signal.SIGTERM, before)


def deaf() -> None:
    """Let no SIGTERM disturb the end that has begun.  Of use in the main thread only."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    deaf()
    raise Terminated


def _again(number: int) -> None:
    """Not at once, as the main thread would still be where nothing can be raised.

    It has no ``threading.Thread``, whose start waits for locks that the main thread may hold.
    """
    time.sleep(_LATER)
    os.kill(os.getpid(), number)
