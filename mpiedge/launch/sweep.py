"""``python -m mpiedge.launch.sweep JOB``: ends what is left of a job on this machine.

The launcher runs it on every host before it starts a job again: a rank that froze or was cut off
may still be there, with the memory that the next one needs.  That it answers at all says that the
host is back.
"""

import sys
from collections.abc import Sequence

import psutil

from mpiedge.launch.processes import UNSEEN

VARIABLE = "MPIEDGE_JOB"


def sweep(job: str) -> int:
    """Kill this machine's processes that have the job's name in their environment; how many."""
    killed = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(VARIABLE) == job:
                process.kill()
                killed += 1
        except UNSEEN:
            continue
    return killed


def main(words: Sequence[str]) -> int:
    """Sweep for the job that is named."""
    sweep(words[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
