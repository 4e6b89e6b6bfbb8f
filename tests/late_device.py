"""``mpiedge`` with a fault: in the third round rank 2, a device, gets a signal before its work.

The signal is named first, then after how many seconds SIGCONT follows; 0: never.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Collection

from mpiedge.__main__ import main
from mpiedge.comm.connect import announced_rank
from mpiedge.run.local_work import Done, LocalWork

sound = LocalWork.gradient


def faulty(work: LocalWork, client: int, number: int, names: Collection[str]) -> Done:
    if announced_rank() == 2 and number == 2:
        seconds = float(sys.argv[2])
        if seconds:
            subprocess.Popen(["sh", "-c", f"sleep {seconds}; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
    return sound(work, client, number, names)


if __name__ == "__main__":
    LocalWork.gradient = faulty  # type: ignore[method-assign]
    sys.exit(main(sys.argv[3:]))
