"""The order of a pass that trains nothing: micro-batch by micro-batch, stage by stage."""

from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.timeline import Action, Pass


def forward_pass(plan: PartitionPlan, rank: int, batches: int = 1) -> tuple[Action, ...]:
    """What a rank does when ``batches`` batches of a plan only go forward (our design).

    All ranks go by one order of all actions, in which whatever an action waits for stands before
    it, also leave to send it on (``pipeline/leave.py``): nobody ever waits in a circle.
    """
    return tuple(
        Action(stage, Pass.FORWARD, number)
        for number in range(batches * len(plan.micro_batches))
        for stage, one in enumerate(plan.route(number))
        if one.rank == rank
    )
