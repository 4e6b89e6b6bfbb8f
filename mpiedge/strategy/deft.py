"""LoLa DEFT and FedLoRA: rounds in which clients tune a whole model of their own, or a part of it.

    server      weights, plan ->            -> averages, and makes the update
    client 0               0 [1 2 3 4] 5    block 4 and the head
    client 1               0 [1 2 3 4] 5    block 2 and the head
    client 2               (takes no part)

In DEFT each client sends the gradient of the block that suits it (arXiv 2407.09873); in FedLoRA
each trains all adapters for some steps and sends these.  Who tunes what is decided anew between
rounds, so a phase only says who holds what; the rounds stand beside its schedule.
"""

from mpiedge.plan.balance import check_memory
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.roles import SERVER, roles
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Rounds, Work


def deft(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """One phase of rounds in which clients send gradients."""
    return (_phase(settings, work, Rounds.GRADIENTS),)


def fedlora(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """One phase of rounds in which clients send what they have trained."""
    return (_phase(settings, work, Rounds.WEIGHTS),)


def _phase(settings: StrategySettings, work: Work, rounds: Rounds) -> Phase:
    server = Stage(SERVER, work.layers, work.trainable)
    check_memory(work.cost, server, "the server's model")
    plan = PartitionPlan(((server,),), (0,) * work.micro_batches, work.joint_update)
    devices = roles(settings, len(work.ranks)).devices
    feeders = tuple(Stage(rank, work.layers) for rank in devices if rank != SERVER)
    return Phase(plan, work.batches, feeders=feeders, rounds=rounds)
