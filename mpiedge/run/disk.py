"""How much of each rank's disk a run would take for what it keeps of a frozen model, and its time.

The same numbers that a run checks before it begins, without opening a store.
"""

from collections.abc import Mapping, Sequence

from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.redistribution import held_by
from mpiedge.run.caching import Stored, layout_of
from mpiedge.run.examples import survey
from mpiedge.run.extent import Counted
from mpiedge.run.opening import Opened
from mpiedge.run.preparing import passes
from mpiedge.store.layout import Counts, Layout
from mpiedge.strategy.registry import RECORDING
from mpiedge.strategy.roles import SERVER
from mpiedge.strategy.strategy import Phase, Source
from mpiedge.task.task import Split


def reading(
    opened: Opened, phases: Sequence[Phase], stores: Sequence[Stored], stored: Mapping[int, int]
) -> dict[int, float]:
    """Seconds that each rank's disk takes for what it reads in an epoch, where its speed is known.

    Of a side network's examples each rank reads what its stage replays; other stores are read as a
    whole by whoever keeps them.
    """
    cluster = opened.cluster
    if cluster is None:
        return {}
    sizes = dict(stored)
    if stores:
        sizes = {rank: _replayed(stores[0], phases[-1].plan, rank) for rank in stored}
    speeds = {rank: one.storage for rank, one in enumerate(cluster.members)}
    return {rank: size / speeds[rank] for rank, size in sizes.items() if speeds[rank]}


def _replayed(one: Stored, plan: PartitionPlan, rank: int) -> int:
    """Bytes that a rank reads of a split in an epoch."""
    held = (h for h in held_by(plan, one.order, range(one.layout.layers)) if h.rank == rank)
    return sum(
        one.layout.total_bytes((one.counts[int(e)] for e in h.examples), h.layers) for h in held
    )


def split_stores(opened: Opened, one: Counted) -> tuple[Stored, ...]:
    """The splits that a recording strategy stores; none for another.  Called by all ranks."""
    cache = opened.settings.cache
    wanted = one.clock.steps > one.clock.epoch or cache.keep
    if opened.settings.strategy.name not in RECORDING or not wanted:
        return ()
    splits: tuple[Split, ...] = ("train", "validation")
    surveys = {split: survey(opened, split) for split in splits}
    order, layout = passes(opened, surveys), layout_of(opened)
    return tuple(Stored(layout, order[split], surveys[split].tokens) for split in splits)


def disk(
    opened: Opened, phases: Sequence[Phase], stores: Sequence[Stored], tokens: Sequence[Counts]
) -> Mapping[int, int]:
    """Bytes on the disk of each rank that stores something; ``tokens`` of the training examples.

    Everything is taken to be stored anew.
    """
    ranks = range(len(opened.hosts))
    if stores:
        return {rank: sum(one.growth(phases, rank) for one in stores) for rank in ranks}
    entrances = phases[0].entrances
    if not entrances or phases[0].source is not Source.RECORD:
        return {}
    # One layer's input is like one layer's output; all examples are counted, as a run counts them.
    one = Layout(1, opened.blueprint.config.hidden_size, 1, opened.settings.cache.dtype)
    each = one.total_bytes(tokens, range(1))
    if phases[0].feeders:
        return {SERVER: each}
    held = {rank: set(phases[0].plan.layers_of(rank)) for rank in ranks}
    return {
        rank: len(held[rank].intersection(entrances)) * each
        for rank in ranks
        if held[rank].intersection(entrances)
    }
