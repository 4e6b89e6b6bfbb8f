"""The screen that a command draws on: a terminal of its own, the launcher's, or plain output."""

import os
import sys

from rich.console import Console

from mpiedge.launch.rank import rank_of
from mpiedge.launch.terminal import COLUMNS, PATH, terminal


def console(*, plain: bool = False) -> Console:
    """Rank 0's console; a live view is drawn only where there is a terminal, and not if ``plain``.

    mpirun gives its ranks a pseudo-terminal even when its own output is a file, so under it only
    the launcher's word counts.
    """
    if plain or (rank_of(os.environ) is not None and PATH not in os.environ):
        return Console(force_terminal=False, soft_wrap=True)
    screen = terminal()
    if screen is None or screen is sys.stdout:
        return Console(soft_wrap=True)
    return Console(file=screen, force_terminal=True, width=int(os.environ.get(COLUMNS, "80")))
