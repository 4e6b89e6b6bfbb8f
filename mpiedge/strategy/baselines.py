"""The plain strategies: one rank, one pipeline, whole replicas."""

from collections.abc import Sequence

from mpiedge.errors import BadInput
from mpiedge.plan.balance import balance, check_memory
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.given import check_enough, given_cut, shares_of
from mpiedge.strategy.portions import apportion, deal
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Work
from mpiedge.strategy.trying import fastest, runs


def standalone(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """The whole model on the only rank: ``(0, [0..L+1])``."""
    if len(work.ranks) != 1:
        raise BadInput(
            f"strategy standalone runs on 1 rank, but {len(work.ranks)} were started; start one, "
            f"or use strategy pipeline or data-parallel"
        )
    return (_whole(work, shares=[1.0]),)


def pipeline(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """One route over all ranks, 1F1B, all adapters trained: ``(0, [0..a]) (1, [a+1..b]) ...``.

    What Eco-FL's edge pipeline does.
    """
    return (Phase(_chain(work, given_cut(settings.layers, work) or _cut(work)), work.batches),)


def _cut(work: Work) -> tuple[range, ...]:
    balanced = balance(work.cost, work.ranks, work.trainable)
    return runs(fastest([*map(len, balanced)], lambda sizes: _chain(work, runs(sizes)), work.cost))


def _chain(work: Work, parts: Sequence[range]) -> PartitionPlan:
    """One route with a part of the layers on each rank."""
    route = tuple(
        Stage(rank, part, work.trainable & frozenset(part))
        for rank, part in zip(work.ranks, parts, strict=True)
    )
    taken = (0,) * work.micro_batches
    return PartitionPlan((route,), taken, work.joint_update, still=work.still)


def data_parallel(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """The whole model on every rank, gradients summed: ``(r, [0..L+1])`` for each rank ``r``.

    What EDDL does.
    """
    return (_whole(work, shares_of(settings, work)),)


def _whole(work: Work, shares: Sequence[float]) -> Phase:
    check_enough(work)
    routes = tuple((Stage(rank, work.layers, work.trainable),) for rank in work.ranks)
    for (stage,) in routes:
        check_memory(work.cost, stage)
    counts = apportion(work.micro_batches, shares)
    # Neighbouring micro-batches hold examples of like length: dealt out in turn, each rank
    # gets short ones and long ones.
    assignment = deal(counts)
    plan = PartitionPlan(routes, assignment, work.joint_update, still=work.still)
    return Phase(plan, work.batches)
