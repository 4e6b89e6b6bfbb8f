"""Cutting a model's layers over a row of unequal devices."""

from collections.abc import Callable, Sequence
from functools import cache
from math import inf

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import Stage

Seconds = Callable[[int, range], float]


class Infeasible(BadInput):
    """No plan fits the devices' memory."""


def balance(cost: CostModel, ranks: Sequence[int], trainable: frozenset[int]) -> tuple[range, ...]:
    """Cut all layers into one run per rank, in order, so that the slowest rank is fastest.

    Among the cuts that fit every rank's memory, where the stage ``s`` of ``S`` keeps ``S - s``
    micro-batches as 1F1B does (our design: a dynamic programme over the last cut).

    Raises BadInput when there are more ranks than layers, Infeasible when memory is short.
    """
    layers = range(len(cost.layers))
    if len(ranks) > len(layers):
        raise BadInput(
            f"{len(ranks)} ranks are more than the model's {len(layers)} layers (embedding and "
            f"head counted); start at most {len(layers)} ranks, or use strategy data-parallel"
        )
    lowest = min(trainable, default=len(layers))

    def seconds(position: int, part: range) -> float:
        stage = Stage(ranks[position], part, trainable & frozenset(part))
        ends = lowest in part
        if cost.memory(stage, ends, len(ranks) - position) > cost.devices[stage.rank].memory:
            return inf
        backward = cost.backward(stage, ends) if part.stop > lowest else 0.0
        return cost.forward(stage) + backward

    time, parts = _smallest_maximum(seconds, len(ranks), layers)
    if time == inf:
        raise Infeasible(_shortage(cost, ranks))
    return parts


def check_memory(cost: CostModel, stage: Stage, what: str = "the whole model") -> None:
    """Raise Infeasible when the only stage of a route does not fit its rank."""
    needed, free = cost.memory(stage, True, 1), cost.devices[stage.rank].memory
    if needed > free:
        raise Infeasible(
            f"{what} needs {needed / 2**20:.0f} MiB for training and rank {stage.rank} "
            f"has {free / 2**20:.0f} MiB free; use strategy pipeline over more ranks, lower "
            f"training.micro_batch_size, or set model.dtype to bfloat16"
        )


def _smallest_maximum(
    seconds: Seconds, count: int, layers: range
) -> tuple[float, tuple[range, ...]]:
    @cache
    def best(count: int, stop: int) -> tuple[float, float, tuple[range, ...]]:
        if count == 0:
            return (0.0, 0.0, ()) if stop == layers.start else (inf, inf, ())
        options: list[tuple[float, float, tuple[range, ...]]] = [(inf, inf, ())]
        for cut in range(layers.start + count - 1, stop):
            slowest, squares, parts = best(count - 1, cut)
            last = range(cut, stop)
            time = seconds(count - 1, last)
            # Equal slowest stages are told apart by the sum of squares: the most even cut.
            options.append((max(slowest, time), squares + time * time, (*parts, last)))
        return min(options, key=lambda option: option[:2])

    slowest, _, parts = best(count, layers.stop)
    return slowest, parts


def _shortage(cost: CostModel, ranks: Sequence[int]) -> str:
    smallest = min(ranks, key=lambda rank: cost.devices[rank].memory)
    memory = sum(cost.devices[rank].memory for rank in ranks)
    weights = sum(layer.weights for layer in cost.layers)
    return (
        f"the model's {len(cost.layers)} layers ({weights / 2**20:.0f} MiB of weights) do not fit "
        f"ranks {list(ranks)} ({memory / 2**20:.0f} MiB free in all; rank {smallest} has the "
        f"least, {cost.devices[smallest].memory / 2**20:.0f} MiB); add ranks, lower "
        f"training.micro_batch_size, or set model.dtype to bfloat16"
    )
