"""Blocks over a ring of unequal devices, and the order of the devices in it.

A batch's time is bound by the slowest device: the forward pass of all its blocks, and the backward
pass of those that are unfrozen by then, averaged over the schedule.  RingAda's coordinator solves
this from speed and memory; the formula and the dynamic programme are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from math import inf

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel

EXACT = 8
"""Devices up to which every order of the ring is considered; of more, the slowest come first."""

Places = tuple[tuple[int, range], ...]
"""In ring order, each rank and its blocks, counted from 0."""

_Best = tuple[float, float, Places]  # seconds of the slowest, sum of squares, who has what


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
            + (3 * one.tuned + self.in_flight * one.activation if p else 0)
            + self.in_flight * one.boundary
            for one, p in zip(layers, self.trained, strict=True)
        )
        return (0, *accumulate(each))


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
    slowest, _, places = _best(ring, tuple(order))
    if slowest == inf:
        raise Infeasible(_shortage(ring))
    return places


def _best(ring: Ring, order: tuple[int, ...]) -> _Best:
    count = len(ring.cost.devices)

    @cache
    def best(placed: frozenset[int], stop: int) -> _Best:
        """The first ``stop`` blocks over the ranks that are ``placed``."""
        if not placed:
            return (0.0, 0.0, ()) if stop == 0 else (inf, inf, ())
        last = (order[len(placed) - 1],) if order else sorted(placed, reverse=True)
        options: list[_Best] = [(inf, inf, ())]
        for rank in last:
            for start in range(len(placed) - 1, stop):
                slowest, squares, places = best(placed - {rank}, start)
                time = ring.seconds(rank, range(start, stop))
                ended = (*places, (rank, range(start, stop)))
                options.append((max(slowest, time), squares + time * time, ended))
        # Among equally good ones, the most even cut and the ranks in their own order.
        return min(options, key=_preference)

    return best(frozenset(range(count)), len(ring.blocks))


def _preference(option: _Best) -> tuple[float, float, tuple[int, ...]]:
    slowest, squares, places = option
    return round(slowest, 12), round(squares, 12), tuple(rank for rank, _ in places)


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
