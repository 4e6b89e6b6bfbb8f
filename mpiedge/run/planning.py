"""The plan of a run: made on rank 0, broadcast, the same value everywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from mpiedge.comm.values import decided
from mpiedge.errors import BadInput
from mpiedge.model.purpose import Purpose
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.pipeline.sync import CROSSING
from mpiedge.plan.cluster import Member, Row, applied, kinds_of
from mpiedge.plan.cost import CostModel
from mpiedge.plan.slowness import slowed
from mpiedge.run.estimate import SPEED, estimate
from mpiedge.run.opening import Opened
from mpiedge.strategy.registry import strategy
from mpiedge.strategy.storing import phase_from_json, phase_to_json
from mpiedge.strategy.strategy import Phase, Source, Work, layers_of


@dataclass(frozen=True)
class Extent:
    """How much there is to do."""

    batches: int  # of the whole run
    micro_batches: int  # of one batch
    epoch: int = 0  # batches of one epoch
    recorded: bool = False  # the activations of every example are kept from an earlier run
    clients: tuple[int, ...] = ()  # batches of an epoch that are each client's
    examples: tuple[int, ...] = ()  # of each client


def plan_run(opened: Opened, extent: Extent) -> tuple[Phase, ...]:
    """The phases of a run; raises BadInput when they cannot be."""
    settings = opened.settings.strategy

    def plans() -> list[dict[str, Any]]:
        return stored(strategy(settings.name)(settings, _work(opened, extent)))

    return tuple(map(phase_from_json, decided(opened.transport, plans)))


def described(opened: Opened, phases: tuple[Phase, ...]) -> Iterator[str]:
    """The plan as sentences: who holds what, and where there are several phases what changes."""
    done, said = 0, list[str]()
    for phase in phases:
        if len(phases) > 1:
            yield _headed(opened, phase, done)
            done += phase.batches
        lines = [_held(opened, phase, rank, len(phases) > 1) for rank in _ranks(phase)]
        yield from lines if lines != said else ()
        said = lines


def _headed(opened: Opened, phase: Phase, done: int) -> str:
    first = phase.until - phase.batches if phase.until else done
    when = f"updates {first + 1} to {first + phase.batches}"
    if not phase.batches:
        when = "before the first update" if phase.beforehand else "what is not recorded yet"
    if phase.level and phase.watch or phase.until and first < done:
        when = f"from plateau {phase.level} on"
    if not phase.evaluation:
        return f"{when}, {_SOURCES[phase.source]}:"
    trained = sorted(set(phase.plan.trainers) - {opened.blueprint.num_layers - 1})
    entrances = ", ".join(map(str, phase.entrances))
    what = {
        Source.COMPUTE: "",
        Source.RECORD: f", keeping what enters layer {entrances}",
        Source.REPLAY: f", starting at layer {entrances} from what was kept",
    }
    return f"{when}: blocks {_runs(trained)} unfrozen{what[phase.source]}"


_SOURCES = {
    Source.COMPUTE: "the whole model",
    Source.RECORD: "recording what the model makes",
    Source.REPLAY: "training from what was recorded",
}


def _ranks(phase: Phase) -> list[int]:
    return sorted({*phase.plan.ranks, *phase.evaluated.ranks, *(s.rank for s in phase.feeders)})


def _held(opened: Opened, phase: Phase, rank: int, several: bool) -> str:
    plan, last = phase.plan, opened.blueprint.num_layers - 1
    layers = layers_of(phase, rank)
    weights = sum(opened.blueprint.weight_bytes(layer) for layer in layers) / 2**20
    # Where only what is unfrozen changes, the line above says so once for all.
    tuned = sum(rank in ranks for ranks in plan.trainers.values())
    changes = several and phase.evaluation is not None
    words = "" if changes else f"{tuned} of them tuned, "
    routes = [[stage.rank for stage in plan.route(m)] for m in plan.micro_batches]
    share, every = sum(rank in ranks for ranks in routes), len(routes)
    fed = len(plan.routes) > 1 and plan.cycle == 1 and not changes
    part = f", {share} of {every} micro-batches" if fed else ""
    return (
        f"rank {rank} on {opened.hosts[rank].name}: layers {_runs(layers)} of 0..{last}, "
        f"{words}{weights:.1f} MiB{part}"
    )


def _runs(layers: Sequence[int]) -> str:
    """Layers in words, as ``0, 3..5``."""
    starts = [layer for layer in layers if layer - 1 not in layers]
    stops = [layer for layer in layers if layer + 1 not in layers]
    pairs = zip(starts, stops, strict=True)
    return ", ".join(f"{a}..{b}" if a < b else str(a) for a, b in pairs)


def stored(phases: tuple[Phase, ...]) -> list[dict[str, Any]]:
    """The plan as plain values, as it is broadcast and kept in ``result.json``."""
    return [phase_to_json(phase) for phase in phases]


def micro_batches(training: TrainingSettings, examples: int) -> int:
    """How many micro-batches make one batch, which never holds more than all examples."""
    return -(-min(training.batch_size, examples) // training.micro_batch_size)


def cost_of(opened: Opened) -> CostModel:
    """What layers cost on the ranks there are, for micro-batches of the run's size."""
    settings, task = opened.settings, opened.settings.task
    memory = [host.free_memory // host.ranks for host in opened.hosts]
    target = (task.max_target_length,) if opened.purpose is Purpose.SEQ2SEQ else ()
    tokens = (settings.training.micro_batch_size, task.max_length, *target)
    cost = estimate(opened.blueprint, opened.tuned, tokens, memory, settings.strategy.speeds)
    narrow = CROSSING[settings.comm.sums]
    if narrow is not None:
        cost = replace(cost, crossing=narrow.itemsize / torch.float32.itemsize)
    if opened.cluster is not None:
        _check_cluster(opened, opened.cluster.members)
        cost = applied(cost, opened.cluster, row_of(opened, tokens), SPEED)
    return slowed(cost, opened.slowness)


def row_of(opened: Opened, tokens: Sequence[int]) -> Row:
    """The kinds of a run's layers, and the tokens of each in a micro-batch.

    ``tokens`` are rows, their length, and with a decoder apart the length of what it is given.
    """
    blueprint, (rows, length, *target) = opened.blueprint, tokens
    count = blueprint.num_layers
    bridge = count if blueprint.bridge is None else blueprint.bridge
    decoded = rows * (target[0] if target else length)
    each = (decoded if layer >= bridge else rows * length for layer in range(count))
    return Row(kinds_of(count, blueprint.bridge), tuple(each))


def _check_cluster(opened: Opened, members: Sequence[Member]) -> None:
    """Raise BadInput unless the profile is of the devices there are."""
    path = opened.settings.strategy.cluster
    if len(members) != len(opened.hosts):
        raise BadInput(
            f"{path} describes {len(members)} devices, but there are {len(opened.hosts)} ranks; "
            f"start as many, or profile those that there are"
        )
    for rank, (one, host) in enumerate(zip(members, opened.hosts, strict=True)):
        if one.host and one.host != host.name:
            raise BadInput(
                f"{path}: device {rank} was measured on {one.host}, but rank {rank} runs on "
                f"{host.name}; list the hosts in that order, or profile them again"
            )


def _work(opened: Opened, extent: Extent) -> Work:
    blueprint, settings = opened.blueprint, opened.settings
    layers = {name: blueprint.layers_of(name) for name in opened.tuned}
    shared = any(len(occurs) > 1 for occurs in layers.values())
    return Work(
        cost=cost_of(opened),
        bridge=blueprint.bridge,
        trainable=frozenset(layer for occurs in layers.values() for layer in occurs),
        micro_batches=extent.micro_batches,
        batches=extent.batches,
        epoch=extent.epoch,
        recorded=extent.recorded,
        keep=settings.cache.keep,
        clients=extent.clients,
        examples=extent.examples,
        still=settings.adapter.lowest if settings.adapter.lowest > 1 else 0,
        joint_update=shared or settings.training.clip_norm > 0,
    )
