"""``mpiedge`` with a fault: rank 2, a device, gets a signal before its third micro-batch.

The signal is named first.
"""

import os
import signal
import sys

from mpiedge.__main__ import main
from mpiedge.comm.connect import announced_rank
from mpiedge.pipeline.smashed import Smashed
from mpiedge.run.forward import Forward
from mpiedge.task.sampler import Batch

sound = Forward.made
made: list[Batch] = []


def faulty(forward: Forward, numbers: Batch, layers: range) -> Smashed:
    made.append(numbers)
    if announced_rank() == 2 and len(made) == 3:
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
    return sound(forward, numbers, layers)


if __name__ == "__main__":
    Forward.made = faulty  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
