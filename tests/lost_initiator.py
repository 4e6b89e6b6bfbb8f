"""``mpiedge`` with a fault: rank 1 is gone, as the signal named first says, when it has the turn.

It has just taken over the head, and computes the loss of its third micro-batch.
"""

import os
import signal
import sys

from torch import Tensor

from mpiedge.__main__ import main
from mpiedge.comm.connect import announced_rank
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.judging import Answer
from mpiedge.pipeline.portion import Portion

sound = Engine._judge
judged: list[int] = []


def faulty(engine: Engine, portion: Portion, logits: Tensor, answer: Answer) -> Tensor:
    judged.append(len(judged))
    if announced_rank() == 1 and len(judged) == 3:
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
    return sound(engine, portion, logits, answer)


if __name__ == "__main__":
    Engine._judge = faulty  # type: ignore[method-assign, assignment]
    sys.exit(main(sys.argv[2:]))
