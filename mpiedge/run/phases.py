"""One phase of a run on this rank: its layers made real, and what was tuned so far brought along.

Phases lay the model out differently.  Between them tuned weights and the optimizer's moments go
from the ranks that had them to those that need them, and what is not needed any more is let go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from mpiedge.comm.compression import compressed
from mpiedge.comm.values import collectively
from mpiedge.model.load import Parts, load, unload
from mpiedge.model.shard import Shard
from mpiedge.pipeline.deferred import Deferred
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.hand_over import Named, hand_over, owners_of
from mpiedge.pipeline.optimize import Update
from mpiedge.pipeline.sync import CROSSING
from mpiedge.pipeline.turns import Turns
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.opening import Opened
from mpiedge.run.resuming import Resumed
from mpiedge.strategy.strategy import Phase, Source, layers_of


@dataclass(frozen=True)
class Entered:
    """A phase that this rank is ready for."""

    phase: Phase
    shard: Shard
    update: Update
    turns: Turns
    engine: Engine
    spent: float = 0.0  # seconds computed in the phases before

    @property
    def busy(self) -> float:
        """Seconds computed in the run so far."""
        return self.spent + self.engine.busy


def begin(opened: Opened, phase: Phase, steps: int, values: Mapping[str, Tensor]) -> Entered:
    """Enter a run's first phase, with first values for some weights."""
    return _entered(opened, phase, steps, {name: (value,) for name, value in values.items()})


def resume(opened: Opened, phase: Phase, steps: int, resumed: Resumed) -> Entered:
    """Enter a phase with what a checkpoint says; called by all."""
    blueprint, plan = opened.blueprint, phase.plan.batch(resumed.position.done)
    wanted = {
        rank: {n for n in resumed.shared if rank in plan.ranks_of(blueprint.layers_of(n))}
        for rank in plan.ranks
    }
    state = hand_over(opened.transport, resumed.held, resumed.shared, wanted)
    return _entered(opened, phase, steps, state)


def follow(opened: Opened, phase: Phase, steps: int, done: int, before: Entered) -> Entered:
    """Enter a phase after another, ``done`` updates into the run.

    The layers of the phase before are let go first: no rank ever holds both.  Where every rank
    keeps its layers, only what is trained changes.
    """
    blueprint, plan = opened.blueprint, phase.plan.batch(done)
    held = before.update.state(before.shard.tuned_parameters())
    owners = owners_of(blueprint, before.phase.plan.batch(done - 1), opened.tuned)
    wanted = {
        rank: {n for n in owners if rank in plan.ranks_of(blueprint.layers_of(n))}
        for rank in plan.ranks
    }
    state = hand_over(opened.transport, held, owners, wanted)
    if _stays(before.phase, phase):
        before.shard.tune(_tuned(opened, phase))
        here = _ready(opened, phase, steps, before.shard, state)
    else:
        unload(blueprint, frozenset())
        here = _entered(opened, phase, steps, state)
    return replace(here, spent=before.busy)


def refresh(opened: Opened, here: Entered, plan: PartitionPlan, done: int) -> None:
    """Bring weights that were trained elsewhere, ``done`` updates into the run, to where ``plan``
    runs them; called by all.  What the optimizer keeps stays behind.
    """
    if here.phase.plan.cycle == 1:
        return
    blueprint, newest = opened.blueprint, here.phase.plan.batch(done - 1)
    shared = {n for n in here.shard.tuned if newest.apart.isdisjoint(blueprint.layers_of(n))}
    owners = owners_of(blueprint, newest, shared)
    wanted = {
        rank: {
            name
            for name in owners
            if rank not in newest.ranks_of(blueprint.layers_of(name))
            and not set(blueprint.layers_of(name)).isdisjoint(plan.layers_of(rank))
        }
        for rank in plan.ranks
    }
    tuned = {name: (weight,) for name, weight in here.shard.tuned_parameters().items()}
    here.update.take(hand_over(opened.transport, tuned, owners, wanted))


def _stays(before: Phase, phase: Phase) -> bool:
    ranks = {*before.plan.ranks, *phase.plan.ranks}
    replays = {before.source, phase.source} == {Source.RECORD, Source.REPLAY}
    # Beside a side network a replay lets the model go; with entrances it stays.
    if replays and not phase.entrances:
        return False
    return all(layers_of(before, rank) == layers_of(phase, rank) for rank in ranks)


def _entered(opened: Opened, phase: Phase, steps: int, state: Named) -> Entered:
    shard = collectively(opened.transport, lambda: _loaded(opened, phase, state))
    return _ready(opened, phase, steps, shard, state)


def _ready(opened: Opened, phase: Phase, steps: int, shard: Shard, state: Named) -> Entered:
    transport, training = opened.transport, opened.settings.training
    moments = {name: tensors[1:] for name, tensors in state.items()}
    comm = opened.settings.comm
    update = Update(transport, shard, training, steps, moments, CROSSING[comm.sums])
    update.take({name: tensors[:1] for name, tensors in state.items()})
    turns = Turns(transport, shard, update)
    narrow = compressed(transport, comm.compression, comm.keep)
    engine = Engine(narrow, shard, opened.task, turns, training.seed)
    if training.weights_later:
        engine.passes = Deferred(shard)
    if opened.spans is not None:
        engine.watch = opened.spans.watching
    return Entered(phase, shard, update, turns, engine)


def _tuned(opened: Opened, phase: Phase) -> frozenset[str]:
    """The weights that a phase trains; others are not unfrozen yet."""
    layers_of, ranks_of = opened.blueprint.layers_of, phase.plan.ranks_of
    return frozenset(name for name in opened.tuned if ranks_of(layers_of(name)))


def _loaded(opened: Opened, phase: Phase, state: Named) -> Shard:
    replays = phase.source is Source.REPLAY
    return load(
        opened.blueprint,
        layers_of(phase, opened.transport.rank),
        opened.device,
        tuned=_tuned(opened, phase),
        seed=opened.settings.training.seed,
        parts=Parts.SIDE if replays and not phase.entrances else Parts.ALL,
        values={name: tensors[0] for name, tensors in state.items()},
    )
