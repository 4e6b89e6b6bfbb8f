"""The plain strategies: one rank, one pipeline, whole replicas."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf

from mpiedge.errors import BadInput
from mpiedge.plan.balance import balance, check_memory
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Work


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
    parts = _given(settings.layers, work) or balance(work.cost, work.ranks, work.trainable)
    route = tuple(
        Stage(rank, part, work.trainable & frozenset(part))
        for rank, part in zip(work.ranks, parts, strict=True)
    )
    plan = PartitionPlan((route,), (0,) * work.micro_batches, work.joint_update)
    return (Phase(plan, work.batches),)


def data_parallel(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """The whole model on every rank, gradients summed: ``(r, [0..L+1])`` for each rank ``r``.

    What EDDL does.
    """
    shares = settings.shares or [1.0] * len(work.ranks)
    if len(shares) != len(work.ranks) or not all(0 < share < inf for share in shares):
        raise BadInput(
            f"strategy.shares {shares} has to name one share above 0 for each of the "
            f"{len(work.ranks)} ranks"
        )
    return (_whole(work, shares),)


def apportion(total: int, shares: Sequence[float]) -> tuple[int, ...]:
    """``total`` things divided in proportion to ``shares``, at least one each.

    Largest remainders; raises ValueError when there are fewer things than shares.
    """
    if total < len(shares):
        raise ValueError(f"{total} things cannot give one each to {len(shares)} shares")
    exact = [share / sum(shares) * total for share in shares]
    counts = [max(1, int(part)) for part in exact]
    while sum(counts) != total:
        step = 1 if sum(counts) < total else -1
        able = [i for i in range(len(counts)) if counts[i] + step >= 1]
        chosen = max(able, key=lambda i: (step * (exact[i] - counts[i]), -i))
        counts[chosen] += step
    return tuple(counts)


def _whole(work: Work, shares: Sequence[float]) -> Phase:
    if work.micro_batches < len(shares):
        raise BadInput(
            f"a batch has {work.micro_batches} micro-batches, fewer than the {len(shares)} ranks; "
            f"lower training.micro_batch_size or raise training.batch_size"
        )
    routes = tuple((Stage(rank, work.layers, work.trainable),) for rank in work.ranks)
    for (stage,) in routes:
        check_memory(work.cost, stage)
    counts = apportion(work.micro_batches, shares)
    # Neighbouring micro-batches hold examples of like length: dealt out in turn, each rank
    # gets short ones and long ones.
    assignment = _deal(counts)
    return Phase(PartitionPlan(routes, assignment, work.joint_update), work.batches)


def _deal(counts: Sequence[int]) -> tuple[int, ...]:
    """Indices, ``counts[i]`` times ``i``, spread as evenly as can be."""
    turns = [((turn + 0.5) / count, i) for i, count in enumerate(counts) for turn in range(count)]
    return tuple(i for _, i in sorted(turns))


def _given(sizes: Sequence[int], work: Work) -> tuple[range, ...]:
    """The cut that the run file asks for; empty when it leaves the choice to the planner."""
    if not sizes:
        return ()
    if len(sizes) != len(work.ranks) or sum(sizes) != len(work.layers) or min(sizes) < 1:
        raise BadInput(
            f"strategy.layers {list(sizes)} names {sum(sizes)} layers for {len(sizes)} ranks; it "
            f"has to name at least one for each of the ranks started, {len(work.ranks)}, and "
            f"{len(work.layers)} in all (embedding and head counted)"
        )
    return tuple(range(start, stop) for start, stop in pairwise((0, *accumulate(sizes))))
