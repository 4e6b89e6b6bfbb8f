"""The plan of a run: made on rank 0, broadcast, the same value everywhere."""

from collections.abc import Iterator
from typing import Any

from mpiedge.comm.values import decided
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.plan.partition import PartitionPlan, from_json, to_json
from mpiedge.run.estimate import estimate
from mpiedge.run.opening import Opened
from mpiedge.strategy.registry import strategy
from mpiedge.strategy.strategy import Phase, Work


def plan_run(opened: Opened, batches: int, micro_batches: int) -> tuple[Phase, ...]:
    """The phases of a run of ``batches`` updates; raises BadInput when they cannot be."""
    settings = opened.settings.strategy

    def plans() -> list[dict[str, Any]]:
        phases = strategy(settings.name)(settings, _work(opened, batches, micro_batches))
        # Strategies are free to choose a policy; so far all of them take the default.
        return [{"plan": to_json(phase.plan), "batches": phase.batches} for phase in phases]

    agreed = decided(opened.transport, plans)
    return tuple(Phase(from_json(phase["plan"]), phase["batches"]) for phase in agreed)


def described(opened: Opened, plan: PartitionPlan) -> Iterator[str]:
    """The plan as sentences, a rank each."""
    last = opened.blueprint.num_layers - 1
    for rank in plan.ranks:
        layers = plan.layers_of(rank)
        tuned = sum(rank in ranks for ranks in plan.trainers.values())
        weights = sum(opened.blueprint.weight_bytes(layer) for layer in layers) / 2**20
        share = sum(plan.route(m)[0].rank == rank for m in plan.micro_batches)
        every = len(plan.micro_batches)
        fed = f", {share} of {every} micro-batches" if len(plan.routes) > 1 else ""
        yield (
            f"rank {rank} on {opened.hosts[rank].name}: layers {layers[0]}..{layers[-1]} of "
            f"0..{last}, {tuned} of them tuned, {weights:.1f} MiB{fed}"
        )


def stored(opened: Opened, phases: tuple[Phase, ...]) -> list[dict[str, Any]]:
    """The plan as it is kept in ``result.json``."""
    return [{"batches": phase.batches, **to_json(phase.plan)} for phase in phases]


def micro_batches(training: TrainingSettings, examples: int) -> int:
    """How many micro-batches make one batch, which never holds more than all examples."""
    return -(-min(training.batch_size, examples) // training.micro_batch_size)


def _work(opened: Opened, batches: int, micro_batches: int) -> Work:
    blueprint, settings = opened.blueprint, opened.settings
    memory = [host.free_memory // host.ranks for host in opened.hosts]
    tokens = (settings.training.micro_batch_size, settings.task.max_length)
    layers = {name: blueprint.layers_of(name) for name in opened.tuned}
    shared = any(len(occurs) > 1 for occurs in layers.values())
    return Work(
        cost=estimate(blueprint, opened.tuned, tokens, memory),
        trainable=frozenset(layer for occurs in layers.values() for layer in occurs),
        micro_batches=micro_batches,
        batches=batches,
        joint_update=shared or settings.training.clip_norm > 0,
    )
