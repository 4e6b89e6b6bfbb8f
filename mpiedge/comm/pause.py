"""How to wait without burning a core or losing time.

A wait first spins, since most answers are microseconds away, then sleeps for a small part of the
time it has waited already: that bounds both the time lost and the processor time spent.  Where one
thing comes after the other at about the same distance, it sleeps over most of that.  Kept apart
because MPI's own waits always spin: on a small machine that takes the core from the rank that
computes.
"""

import os
import time

_SPIN, _YIELD = 5e-5, 2e-4  # seconds of a wait in which to look at once, and to let others first
_SHARE = 1 / 16  # of the time waited so far
_QUIET, _REGULAR = 0.8, 1e-3  # part of the usual distance; seconds that it has to be
_STREAM = 32  # things that have to have come before
_OVERSLEPT = 0.7  # what the usual distance is taken to be of what it was when it was slept over


class Pause:
    """The pauses between looks at something that has not happened yet."""

    def __init__(self) -> None:
        self._usual, self._slept, self._came = 0.0, False, 0
        self._start = time.perf_counter()

    def reset(self) -> None:
        """Something happened: be quick again, but not before the next of its kind can be there."""
        now = time.perf_counter()
        # What was there at once after a sleep may have been there for long.
        passed = (self._usual + now - self._start) / 2
        self._usual = _OVERSLEPT * self._usual if self._slept else passed
        self._start, self._slept, self._came = now, False, self._came + 1

    def rest(self, longest: float) -> None:
        """Nothing happened: give way, the longer the longer it lasts, up to ``longest`` seconds."""
        waited = time.perf_counter() - self._start
        quiet = _QUIET * self._usual
        self._slept = waited < quiet and quiet > _REGULAR and self._came > _STREAM
        if self._slept:
            time.sleep(min(quiet - waited, longest))
        elif _SPIN < waited < _YIELD:
            os.sched_yield()
        elif waited >= _YIELD:
            time.sleep(min(_SHARE * waited, longest))
