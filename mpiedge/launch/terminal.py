"""How rank 0 draws a live line on the terminal that ``mpiedge launch`` was typed into.

mpirun passes a rank's output on line by line, so a line that is redrawn in place would show only
at the end; and it gives every rank a terminal of its own, so ``isatty`` says nothing there.  Rank
0 runs on the launcher's machine: it opens the launcher's terminal itself.
"""

import os
import shutil
import sys
from typing import TextIO

from mpiedge.launch.rank import rank_of

COLUMNS = "MPIEDGE_TERMINAL"
PATH = "MPIEDGE_TTY"


def variables(out: TextIO = sys.stdout) -> dict[str, str]:
    """What the launcher tells rank 0 about its terminal: nothing when there is none."""
    if not out.isatty():
        return {}
    columns = shutil.get_terminal_size().columns
    return {COLUMNS: str(columns), PATH: os.ttyname(out.fileno())}


def terminal() -> TextIO | None:
    """Where a live line can be drawn: this process's terminal, the launcher's, or nowhere."""
    if rank_of(os.environ) is None:
        return sys.stdout if sys.stdout.isatty() else None
    path = os.environ.get(PATH)
    if not path:
        return None
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_NOCTTY), "w", buffering=1)
    except OSError:
        return None
