"""What has to be true of the caches before they are replayed.

Everything is stored somewhere, and each rank has what it will replay.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from mpiedge.comm.values import agree, collectively, gather
from mpiedge.model.load import Parts, load, unload
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.portion import Portion
from mpiedge.plan.forward_pass import forward_pass
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.backbones import backbones, evaluation_visits
from mpiedge.run.bystanders import Counting, NoObjective, NoTuning
from mpiedge.run.caching import SplitCache, missing, settle
from mpiedge.run.evaluation import laid, portions
from mpiedge.run.phases import Entered
from mpiedge.run.preparing import Prepared
from mpiedge.strategy.strategy import Phase, Source
from mpiedge.task.sampler import Batch


class Completed(NamedTuple):
    """What it took to complete a run's caches."""

    recorded: int  # examples that had to be recorded for it alone
    moved: int  # bytes, over all ranks
    seconds: float


class Told(NamedTuple):
    """Who hears how far the recording is."""

    ready: Callable[[], None]  # called by all, once: all that could be wrong has been looked at
    recorded: Callable[[int, int], None]  # so many of so many examples


class _Pass(NamedTuple):
    """A way for examples through the model."""

    engine: Engine
    plan: PartitionPlan


def complete(run: Prepared, before: Entered | None, replaying: Phase, told: Told) -> Completed:
    """Record what is missing, and bring everything to where it is replayed; called by all.

    ``before`` is the recording phase, if the run is still in it; otherwise the model is loaded for
    this alone, without head or side network, and let go again.
    """
    start, moved = time.monotonic(), 0
    assert run.caches is not None
    lost = {one.split: tuple(missing(run.opened, one).tolist()) for one in run.caches.splits}
    recorded = sum(map(len, lost.values()))
    if recorded:
        taken = _forward_only(run) if before is None else _Pass(before.engine, before.phase.plan)
    told.ready()
    for one in run.caches.splits:
        if lost[one.split]:
            _record(run, taken, one, lost[one.split], told)
    if recorded and before is None:
        unload(run.opened.blueprint, frozenset())
    for one in run.caches.splits:
        moved += settle(run.opened, one, replaying.plan)
    total = sum(agree(run.opened.transport, gather(run.opened.transport, moved)))
    return Completed(recorded, total, time.monotonic() - start)


def _forward_only(run: Prepared) -> _Pass:
    """The recording phase's stages with the model's own weights and nothing else; no head."""
    opened, head = run.opened, run.opened.blueprint.num_layers - 1
    plan, rank = run.phases[0].plan.below(head), opened.transport.rank
    shard = collectively(
        opened.transport,
        lambda: load(opened.blueprint, plan.layers_of(rank), opened.device, parts=Parts.BACKBONE),
    )
    return _Pass(Engine(opened.transport, shard, NoObjective(), NoTuning()), plan)


def _record(
    run: Prepared, taken: _Pass, one: SplitCache, lost: tuple[int, ...], told: Told
) -> None:
    """Take some examples through the model, forward only."""
    opened, rank = run.opened, run.opened.transport.rank
    split = run.examples.train if one.split == "train" else run.examples.validation
    passing = laid(opened, taken.plan, split, _parts(run, one, lost))
    visits = evaluation_visits(passing, rank)
    actions = forward_pass(passing.plan, rank, passing.batches)
    counting = Counting(
        len(actions), lambda part: told.recorded(round(part * len(lost)), len(lost))
    )
    with backbones(opened, Source.RECORD, one, visits, split) as kept:
        taken.engine.run(Portion(passing.plan, actions, 0, passing.source, kept), counting)


def _parts(run: Prepared, one: SplitCache, lost: tuple[int, ...]) -> tuple[Batch, ...]:
    """Examples in micro-batches: each where it will be replayed, if there are many."""
    if 2 * len(lost) >= one.survey.size:
        wanted = frozenset(lost)
        return tuple(tuple(e for e in part if e in wanted) for part in one.order)
    lengths = [one.survey.lengths[number] for number in lost]
    size = run.opened.settings.training.micro_batch_size
    return tuple(tuple(lost[i] for i in part) for part in portions(lengths, size))
