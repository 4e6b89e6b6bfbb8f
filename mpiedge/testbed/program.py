"""``python -m mpiedge.testbed.program COMMAND...``: a rank that runs another program.

The launcher believes no exit code of mpirun's, which says 0 when a host was lost, but a file that
rank 0 writes.  Other programs do not know that file; this writes it for them.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from mpiedge.launch import ended
from mpiedge.launch.rank import rank_of


def main(command: Sequence[str]) -> int:
    """Run a command to its end, pass signals on to it, and report its exit code.

    One that was told to end is not reported: it did not end for a reason of its own.
    """
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        print(f"mpiedge: {command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return 127
    told: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = process.wait()
    code = code if code >= 0 else 128 - code
    if not told and rank_of(os.environ) == 0:
        ended.report(code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
