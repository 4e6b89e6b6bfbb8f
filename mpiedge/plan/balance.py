"""Cutting a model's layers over a row of unequal devices."""

from collections.abc import Sequence
from math import inf

import numpy as np

from mpiedge.errors import BadInput
from mpiedge.plan.chain import Floats, Prices, cut, largest, sizes, sums
from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import Stage


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
    time, parts = cut(_prices(cost, ranks, trainable), len(ranks), len(layers))
    if time == inf:
        raise Infeasible(_shortage(cost, ranks))
    return parts


def _prices(cost: CostModel, ranks: Sequence[int], trainable: frozenset[int]) -> Prices:
    """Seconds of every run of layers at each place of a pipeline; infinite where it does not fit.

    The same as the cost model's own for a stage with these layers.
    """
    each, count, copies = cost.layers, len(cost.layers), 1 + cost.moments
    lowest = min(trainable, default=count)
    forward = sums([layer.forward for layer in each])
    backward = sums([layer.backward * (i >= lowest) for i, layer in enumerate(each)])
    fixed = sizes(
        [layer.weights + copies * layer.tuned * (i in trainable) for i, layer in enumerate(each)]
    )
    fixed += largest([layer.working for layer in each])
    kept = sizes([layer.activation for layer in each])
    # Where backward passes end, what is below the lowest trainable layer keeps nothing.
    ending = sizes([layer.activation * (i >= lowest) for i, layer in enumerate(each)])
    kept[: lowest + 1, lowest:] = ending[: lowest + 1, lowest:]

    def price(place: int, run: slice) -> Floats:
        device = cost.devices[ranks[place]]
        seconds = forward[run, run] / device.speed + backward[run, run] / device.speed
        needed = fixed[run, run] + (len(ranks) - place) * kept[run, run]
        return np.where(needed > device.memory, np.inf, seconds)

    return price


def check_memory(cost: CostModel, stage: Stage, what: str = "the whole model") -> None:
    """Raise Infeasible when the only stage of a route does not fit its rank."""
    needed, free = cost.memory(stage, True, 1), cost.devices[stage.rank].memory
    if needed > free:
        raise Infeasible(
            f"{what} needs {needed / 2**20:.0f} MiB for training and rank {stage.rank} "
            f"has {free / 2**20:.0f} MiB free; use strategy pipeline over more ranks, lower "
            f"training.micro_batch_size, or set model.dtype to bfloat16"
        )


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
