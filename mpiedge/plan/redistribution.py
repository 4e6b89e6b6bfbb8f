"""Which stored activations have to move so that every rank has its own examples whole.

While a model is laid out as a pipeline each rank keeps what its layers made; afterwards each rank
trains examples of its own and needs all layers of those (PAC, section 5.2).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mpiedge.plan.partition import PartitionPlan

Examples = npt.NDArray[np.int64]


class Holding(NamedTuple):
    """What a rank has: of these examples, what these layers made."""

    rank: int
    layers: range
    examples: Examples


class Transfer(NamedTuple):
    """What one rank sends another."""

    source: int
    dest: int
    layers: range
    examples: Examples


def recorded_by(
    plan: PartitionPlan, batches: Sequence[Sequence[int]], layers: range
) -> tuple[Holding, ...]:
    """What each rank will have stored once the micro-batches ``batches`` went along their routes.

    Of ``layers`` only: there is nothing to store of the head.
    """
    examples: dict[tuple[int, int, int], list[int]] = {}
    for number, batch in enumerate(batches):
        for stage in plan.route(number):
            run = (stage.rank, stage.layers.start, min(stage.layers.stop, layers.stop))
            examples.setdefault(run, []).extend(batch)
    return tuple(
        Holding(rank, range(start, stop), np.array(sorted(ids), dtype=np.int64))
        for (rank, start, stop), ids in sorted(examples.items())
        if start < stop
    )


def owned_by(plan: PartitionPlan, batches: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """For each example, the rank where its micro-batch enters under a plan."""
    owners = {
        example: plan.route(number)[0].rank
        for number, batch in enumerate(batches)
        for example in batch
    }
    return tuple(owners[example] for example in range(len(owners)))


def uncovered(holdings: Sequence[Holding], wanted: Examples, layers: range) -> Examples:
    """Those of the wanted examples of which some layer is nowhere."""
    covered = _Coverage(wanted, layers)
    for holding in holdings:
        covered.add(holding)
    return wanted[~covered.whole()]


def transfers(
    holdings: Sequence[Holding], owners: Sequence[int], layers: range
) -> tuple[Transfer, ...]:
    """What moves, so that ``owners[e]`` has all ``layers`` of each example ``e`` that can be had.

    What an owner has already does not move, and nothing moves twice.
    """
    owner = np.asarray(owners, dtype=np.int64)
    known = [one._replace(examples=one.examples[one.examples < len(owner)]) for one in holdings]
    covered = _Coverage(np.arange(len(owner)), layers)
    for holding in known:
        here = holding.examples[owner[holding.examples] == holding.rank]
        covered.add(holding._replace(examples=here))
    moved: list[Transfer] = []
    for holding in sorted(known, key=lambda one: (one.rank, one.layers.start)):
        away = holding.examples[owner[holding.examples] != holding.rank]
        new = covered.add(holding._replace(examples=away))
        for dest in np.unique(owner[new]):
            chosen = new[owner[new] == dest]
            moved.append(Transfer(holding.rank, int(dest), holding.layers, chosen))
    return tuple(moved)


class _Coverage:
    """For every example and layer, whether it is accounted for."""

    def __init__(self, examples: Examples, layers: range) -> None:
        self._layers = layers
        size = int(examples.max()) + 1 if len(examples) else 0
        self._there = np.zeros((size, len(layers)), dtype=np.bool_)
        self._examples = examples

    def add(self, holding: Holding) -> Examples:
        """Take a holding in; gives those of its examples for which it brought anything new."""
        ids = holding.examples[holding.examples < len(self._there)]
        start = max(holding.layers.start, self._layers.start) - self._layers.start
        stop = min(holding.layers.stop, self._layers.stop) - self._layers.start
        columns = np.arange(start, max(start, stop))
        new = ids[~self._there[np.ix_(ids, columns)].all(axis=1)]
        self._there[np.ix_(new, columns)] = True
        return new

    def whole(self) -> npt.NDArray[np.bool_]:
        """For each example in question, whether every layer is there."""
        whole: npt.NDArray[np.bool_] = np.logical_and.reduce(self._there[self._examples], axis=1)
        return whole
