"""Keeps mpirun's banners from burying the one line that says what went wrong.

mpirun follows every non-zero exit with a block of its own.  When a rank has already said what
happened, or the job has its result, that block is noise.  Everything else passes at once,
unfinished lines too.
"""

import os
from collections.abc import Callable
from typing import Final

RULE: Final = b"-" * 74 + b"\n"
OPENINGS: Final = (
    b"prterun detected that one or more processes exited with non-zero status",
    b"prterun has exited due to process rank",
    b"MPI_ABORT was invoked on rank",
)
LONGEST: Final = 4000  # bytes of a banner

# A rank that mpirun told to end leaves so: never what the job ended for.
TOLD_TO_END: Final = (b"Errorcode: 143\n", b"Errorcode: 130\n")


class Filter:
    """Takes mpirun's banners out of a stream of bytes that comes in pieces."""

    def __init__(self, explained: Callable[[], bool] = lambda: False) -> None:
        self._explained = explained  # whether the job's end is known without the banners
        self._pending = b""
        self._fresh = True  # at the beginning of a line
        self._spoken = False  # somebody other than mpirun has written something

    def feed(self, data: bytes) -> bytes:
        """What may be shown now."""
        self._pending += data.replace(b"\0", b"")  # mpirun ends some banners with one
        shown = b""
        while self._pending and (length := self._decided()):
            shown += self._take(length)
        return shown

    def close(self) -> bytes:
        """What was held back to the end."""
        held, self._pending = self._pending, b""
        return held

    def _decided(self) -> int:
        """How many bytes can be judged by now; 0 if more must come first."""
        if not self._fresh or not RULE.startswith(self._pending[: len(RULE)]):
            return self._pending.find(b"\n") + 1 or len(self._pending)
        if len(self._pending) < len(RULE):
            return 0
        return _banner(self._pending)

    def _take(self, length: int) -> bytes:
        piece, self._pending = self._pending[:length], self._pending[length:]
        self._fresh = piece.endswith(b"\n")
        if length > len(RULE) and piece.startswith(RULE):
            told = any(code in piece for code in TOLD_TO_END)
            return b"" if told or self._spoken or self._explained() else piece
        self._spoken = self._spoken or bool(piece.strip())
        return piece


def _banner(text: bytes) -> int:
    """The length of the banner at the beginning of ``text``, 0 if it is still unclear.

    A ruled line that opens no banner to be hidden counts alone.
    """
    body = text[len(RULE) :]
    if not any(body.startswith(each[: len(body)]) for each in OPENINGS):
        return len(RULE)
    end = body.find(b"\n" + RULE)
    if end >= 0:
        return len(RULE) + end + 1 + len(RULE)
    return 0 if len(body) < LONGEST else len(RULE)


def relay(source: int, target: int, explained: Callable[[], bool] = lambda: False) -> None:
    """Copy one file descriptor to another until it ends, without mpirun's banners."""
    banners = Filter(explained)
    while data := os.read(source, 1 << 16):
        _write(target, banners.feed(data))
    _write(target, banners.close())


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]
