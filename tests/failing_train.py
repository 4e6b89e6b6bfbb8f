"""``mpiedge`` with a fault: rank 1 fails in the backward pass of the run's third micro-batch."""

import sys

from mpiedge.__main__ import main
from mpiedge.comm.connect import announced_rank
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.portion import Portion
from mpiedge.plan.timeline import Action

sound = Engine._backward


def faulty(engine: Engine, portion: Portion, action: Action, after: Action | None) -> None:
    if announced_rank() == 1 and portion.first + action.number == 2:
        raise ZeroDivisionError("in micro-batch 2")
    sound(engine, portion, action, after)


if __name__ == "__main__":
    Engine._backward = faulty  # type: ignore[method-assign, assignment]
    sys.exit(main())
