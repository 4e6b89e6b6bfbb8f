"""The screen that a command draws on: a terminal of its own, the launcher's, or plain output."""

import os
import sys

from rich.console import Console

from mpiedge.launch.terminal import COLUMNS, terminal


def console() -> Console:
    """Rank 0's console; a live line is drawn only where there is a terminal."""
    screen = terminal()
    if screen is None or screen is sys.stdout:
        return Console(soft_wrap=True)
    return Console(file=screen, force_terminal=True, width=int(os.environ.get(COLUMNS, 80)))
