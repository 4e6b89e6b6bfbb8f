"""Blocks over a ring of unequal devices, and the order of the devices in it.

A batch's time is bound by the slowest device: the forward pass of all its blocks, and the backward
pass of those that are unfrozen by then, averaged over the schedule.  RingAda's coordinator solves
this from speed and memory; the formula and the dynamic programme are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.chain import Floats, cut, least
from mpiedge.plan.cost import CostModel

EXACT = 8
"""Devices up to which every order of the ring is considered; of more, the slowest come first."""

Places = tuple[tuple[int, range], ...]
"""In ring order, each rank and its blocks, counted from 0."""

_DIGITS = 12  # after the point, to which seconds are compared
_RADIX = 2 * EXACT
_ALL = slice(None)


@dataclass(frozen=True)
class Ring:
    """Blocks that are to be laid over a ring."""

    cost: CostModel
    blocks: tuple[int, ...]  # their layers
    trained: tuple[float, ...]  # of each block, the part of the run in which it runs backward
    own: tuple[int, ...]  # bytes each rank needs beside its blocks
    in_flight: int = 1  # micro-batches that a stage holds

    def seconds(self, rank: int, part: range) -> float:
        """Average seconds of a micro-batch; infinite where memory is short."""
        if self.memory(rank, part) > self.cost.devices[rank].memory:
            return inf
        seconds = self._seconds[part.stop] - self._seconds[part.start]
        return seconds / self.cost.devices[rank].speed

    def table(self, rank: int, run: slice = _ALL) -> Floats:
        """``seconds`` of every part of some blocks, by its first and its last."""
        taken = _differences(self._seconds, run) / self.cost.devices[rank].speed
        needed = self.own[rank] + _differences(self._bytes, run)
        return np.where(needed > self.cost.devices[rank].memory, np.inf, taken)

    def memory(self, rank: int, part: range) -> int:
        """Bytes that a rank needs at the greatest depth, with what it has beside its blocks."""
        return self.own[rank] + self._bytes[part.stop] - self._bytes[part.start]

    @cached_property
    def _seconds(self) -> tuple[float, ...]:
        """Seconds of the first so many blocks at speed 1."""
        layers = (self.cost.layers[i] for i in self.blocks)
        each = (one.forward + p * one.backward for one, p in zip(layers, self.trained, strict=True))
        return (0.0, *accumulate(each))

    @cached_property
    def _bytes(self) -> tuple[int, ...]:
        """Bytes of the first so many blocks: weights, moments, and what is in flight."""
        layers = (self.cost.layers[i] for i in self.blocks)
        each = (
            one.weights
            + ((1 + self.cost.moments) * one.tuned + self.in_flight * one.activation if p else 0)
            + self.in_flight * one.boundary
            for one, p in zip(layers, self.trained, strict=True)
        )
        return (0, *accumulate(each))


def _differences(before: Sequence[float], run: slice) -> Floats:
    """Of the sums over the first so many, what falls to each [first, last] of a run."""
    sums = np.array(before, np.float64)
    parts: Floats = sums[None, 1:][:, run] - sums[:-1, None][run]
    return parts


def arrange(ring: Ring, order: Sequence[int] = ()) -> Places:
    """The blocks of each rank, so that the slowest is fastest; in the ``order`` given, or the best.

    Raises BadInput when there are more ranks than blocks, Infeasible when memory is short.
    """
    ranks = range(len(ring.cost.devices))
    if len(ranks) > len(ring.blocks):
        raise BadInput(
            f"{len(ranks)} ranks are more than the model's {len(ring.blocks)} blocks, which the "
            f"ring is made of; start at most {len(ring.blocks)} ranks"
        )
    if not order and len(ranks) > EXACT:
        order = sorted(ranks, key=lambda rank: ring.cost.devices[rank].speed)
    slowest, places = _in_order(ring, order) if order else _in_any_order(ring)
    if slowest == inf:
        raise Infeasible(_shortage(ring))
    return places


def _in_order(ring: Ring, order: Sequence[int]) -> tuple[float, Places]:
    def price(place: int, run: slice) -> Floats:
        return ring.table(order[place], run)

    slowest, parts = cut(price, len(order), len(ring.blocks), _DIGITS)
    return slowest, tuple(zip(order, parts, strict=False))


class _Best(NamedTuple):
    """The best ways to lay the first so many blocks, 0 and more, over some ranks in any order."""

    slowest: Floats
    squares: Floats  # sum of all ranks' squared seconds: of equals the most even is taken
    order: Floats  # the ranks as a number's digits: of equals the first
    rank: NDArray[np.intp]  # the last one
    start: NDArray[np.intp]  # its first block


def _in_any_order(ring: Ring) -> tuple[float, Places]:
    """A dynamic programme over the sets of ranks, all numbers of blocks at once."""
    ranks, blocks = range(len(ring.cost.devices)), len(ring.blocks)
    none = np.zeros(blocks + 1, np.intp)
    nothing = np.where(np.arange(blocks + 1) == 0, 0.0, np.inf)
    best = {0: _Best(nothing, nothing, np.zeros(blocks + 1), none, none)}
    tables = [_from_to(ring.table(rank)) for rank in ranks]
    for members in range(1, 1 << len(ranks)):
        last = [rank for rank in ranks if members >> rank & 1]
        ways = [_ended(best[members ^ 1 << rank], tables[rank], rank) for rank in last]
        best[members] = _choice(last, [np.concatenate(each) for each in zip(*ways, strict=True)])
    return float(best[members].slowest[blocks]), _read(best, len(ranks), blocks)


def _ended(before: _Best, seconds: Floats, rank: int) -> tuple[Floats, Floats, Floats]:
    """Keys [start, stop] when a rank comes last."""
    order = before.order * _RADIX + rank
    return (
        np.maximum(before.slowest[:, None], seconds),
        before.squares[:, None] + seconds * seconds,
        np.broadcast_to(order[:, None], seconds.shape),
    )


def _choice(last: Sequence[int], keys: list[Floats]) -> _Best:
    """The best of all ways, which stand one rank below the other."""
    chosen, each = least(keys, _DIGITS), np.arange(keys[0].shape[1])
    slowest, squares, order = (key[chosen, each] for key in keys)
    rank, start = np.divmod(chosen, len(each))
    return _Best(slowest, squares, order, np.array(last)[rank], start)


def _from_to(table: Floats) -> Floats:
    """A table of [first, last] block as one of [start, stop], infinite where there is none."""
    seconds = np.full((len(table) + 1, len(table) + 1), np.inf)
    seconds[:-1, 1:] = np.where(np.triu(np.ones_like(table)) > 0, table, np.inf)
    return seconds


def _read(best: dict[int, _Best], ranks: int, stop: int) -> Places:
    places, members = list[tuple[int, range]](), (1 << ranks) - 1
    while members:
        rank, start = int(best[members].rank[stop]), int(best[members].start[stop])
        places.append((rank, range(start, stop)))
        members, stop = members ^ 1 << rank, start
    return tuple(reversed(places))


def _shortage(ring: Ring) -> str:
    devices = ring.cost.devices
    free = sum(device.memory for device in devices) / 2**20
    needed = (sum(ring.own) + ring.memory(0, range(len(ring.blocks))) - ring.own[0]) / 2**20
    tightest = min(range(len(devices)), key=lambda r: devices[r].memory - ring.own[r])
    return (
        f"the ring needs {needed:.0f} MiB on its {len(devices)} ranks, each of which has the "
        f"embedding and the head, and they have {free:.0f} MiB free; rank {tightest} has "
        f"{devices[tightest].memory / 2**20:.0f} MiB and needs {ring.own[tightest] / 2**20:.0f} "
        f"MiB before any block; add ranks, lower training.micro_batch_size, or set model.dtype "
        f"to bfloat16"
    )
