"""Which stored activations have to move so that every rank has what it will train on.

While a model is laid out as a pipeline each rank keeps what its layers made; afterwards each rank
trains examples of its own and needs all layers of those (PAC, section 5.2), or, where a side
network is laid out in stages too, those of its stage.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mpiedge.plan.partition import PartitionPlan

Examples = npt.NDArray[np.int64]


class Holding(NamedTuple):
    """What a rank has, or is to have: of these examples, what these layers made."""

    rank: int
    layers: range
    examples: Examples


class Transfer(NamedTuple):
    """What one rank sends another."""

    source: int
    dest: int
    layers: range
    examples: Examples


def held_by(
    plan: PartitionPlan, batches: Sequence[Sequence[int]], layers: range
) -> tuple[Holding, ...]:
    """What the micro-batches ``batches`` leave on each rank as they go along their routes.

    Also what each rank needs of them to replay the routes.  Of ``layers`` only: there is nothing
    to store of the head.
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


def uncovered(holdings: Sequence[Holding], wanted: Examples, layers: range) -> Examples:
    """Those of the wanted examples of which some layer is nowhere."""
    covered = _Coverage(wanted, layers)
    for holding in holdings:
        covered.add(holding)
    return wanted[~covered.whole()]


def transfers(holdings: Sequence[Holding], wanted: Sequence[Holding]) -> tuple[Transfer, ...]:
    """What moves, so that every rank has what is ``wanted`` of it, as far as it can be had.

    What a rank has already does not move, and nothing moves twice.
    """
    moved: list[Transfer] = []
    for want in sorted(wanted, key=lambda one: (one.rank, one.layers.start)):
        covered = _Coverage(want.examples, want.layers)
        for holding in holdings:
            if holding.rank == want.rank:
                covered.add(holding)
        for holding in sorted(holdings, key=lambda one: (one.rank, one.layers.start)):
            if holding.rank != want.rank and len(new := covered.add(holding)):
                moved.append(Transfer(holding.rank, want.rank, holding.layers, new))
    return tuple(moved)


class _Coverage:
    """For every example in question and every layer, whether it is accounted for."""

    def __init__(self, examples: Examples, layers: range) -> None:
        self._layers = layers
        size = int(examples.max()) + 1 if len(examples) else 0
        self._there = np.zeros((size, len(layers)), dtype=np.bool_)
        self._asked = np.zeros(size, dtype=np.bool_)
        self._asked[examples] = True
        self._examples = examples

    def add(self, holding: Holding) -> Examples:
        """Take a holding in; gives those of its examples for which it brought anything new."""
        ids = holding.examples[holding.examples < len(self._there)]
        ids = ids[self._asked[ids]]
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
