"""That a device has been asked to leave, while the run goes on.

MPI lets nobody go: a process that ends takes the job with it.  So a device that is told to stop
(SIGTERM) says so to the server, makes nothing more, and only waits for the others to finish.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def leave_asked(hears: bool) -> Iterator[threading.Event]:
    """Set once this process is asked to leave; never where it ``hears`` nothing, as a thread."""
    asked = threading.Event()
    if not hears or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def heard(number: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(signal.SIGTERM, heard)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
