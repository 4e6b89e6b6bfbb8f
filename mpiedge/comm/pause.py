"""How to wait without burning a core or losing time.

A wait first spins, since most answers are microseconds away, then sleeps for a small part of the
time it has waited already: that bounds both the time lost and the processor time spent.  Kept
apart because MPI's own waits always spin: on a small machine that takes the core from the rank
that computes.
"""

import os
import time

_SPIN, _YIELD = 5e-5, 2e-4  # seconds of a wait in which to look at once, and to let others first
_SHARE = 1 / 16  # of the time waited so far


class Pause:
    """The pauses between looks at something that has not happened yet."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.reset()

    def reset(self) -> None:
        """Something happened: be quick again."""
        self._start = time.perf_counter()

    def rest(self) -> None:
        """Nothing happened: give way, the longer the longer it lasts, up to ``longest``."""
        waited = time.perf_counter() - self._start
        if _SPIN < waited < _YIELD:
            os.sched_yield()
        elif waited >= _YIELD:
            time.sleep(min(_SHARE * waited, self._longest))
