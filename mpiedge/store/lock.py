"""That a store is used by one process at a time."""

import fcntl
import os
from pathlib import Path

from mpiedge.errors import BadInput

NAME = "lock"


class Lock:
    """The lock of a folder, held until it is released or the process ends."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise BadInput(
                f"activation cache: {folder} is in use by another process ({owner or 'unknown'}); "
                "wait until it has ended, or set cache.folder to another folder"
            ) from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
