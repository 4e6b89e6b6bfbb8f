"""Cutting a row of devices and a row of layers together, so that the dearest piece is cheapest.

Equation 2 of PAC, for any price of a stage: seconds, or how full its devices are.  It is run from
the last stage to the first, since what a stage holds in flight follows from the stages after it.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpiedge.plan.grouping import Ranks
from mpiedge.plan.shares import Floats

Table = Callable[[Ranks, int], Floats]
"""A group and the number of stages left, itself counted -> a price [first, last layer]."""

Cut = tuple[tuple[Ranks, range], ...]
"""Every stage's devices and layers."""

_Groups = dict[tuple[int, int], Ranks]
"""The devices from one end to a later one."""

_TIE = 1 + 1e-9  # what differs by less is equal: prices are sums of floats


class _Ends(NamedTuple):
    """The best ways to end: [first end, first layer], in some number of stages."""

    largest: Floats  # price of the dearest stage
    total: Floats  # price of all stages
    devices: NDArray[np.intp]  # where the first stage's devices stop
    layers: NDArray[np.intp]  # where its layers stop


def cuts(table: Table, order: Ranks, layers: int, ends: Sequence[int] = ()) -> dict[int, Cut]:
    """For each number of stages the cut whose largest price is smallest.

    Groups are neighbours in ``order``, end after ``ends`` devices (after any, when there are
    none), and every device is in one.  Numbers of stages that cannot be are left out.  Among
    equals the smaller sum of prices is taken.  Exact, and takes time with the third power of the
    number of ends.
    """
    bounds = (0, *ends) if ends else tuple(range(len(order) + 1))
    groups = {
        (first, stop): order[bounds[first] : bounds[stop]]
        for first, stop in combinations(range(len(bounds)), 2)
    }
    best = [_nothing(len(bounds) - 1, layers)]
    best[0].largest[-1, -1] = best[0].total[-1, -1] = 0.0
    for stages in range(1, min(len(bounds) - 1, layers) + 1):
        best.append(_one_more(table, groups, best[-1], stages))
    able = [stages for stages in range(1, len(best)) if best[stages].largest[0, 0] < inf]
    return {stages: _read(best[stages:0:-1], groups) for stages in able}


def _nothing(devices: int, layers: int) -> _Ends:
    shape = devices + 1, layers + 1
    none = np.zeros(shape, np.intp)
    return _Ends(np.full(shape, inf), np.full(shape, inf), none, none.copy())


def _one_more(table: Table, groups: _Groups, after: _Ends, stages: int) -> _Ends:
    """The best ways to end in ``stages`` stages, by those in one fewer."""
    devices, layers = (size - 1 for size in after.largest.shape)
    ends = _nothing(devices, layers)
    able = after.largest.min(axis=1) < inf
    for (first, stop), ranks in groups.items():
        if able[stop]:
            _try(ends, after, (first, stop), table(ranks, stages))
    return ends


def _try(ends: _Ends, after: _Ends, devices: tuple[int, int], price: Floats) -> None:
    """Let a first stage on ``devices`` take the places where it is best."""
    first, stop = devices
    each = np.arange(len(price))
    worst = np.maximum(price, after.largest[stop, 1:])
    close = worst <= worst.min(axis=1, keepdims=True) * _TIE
    sums = np.where(close, price + after.total[stop, 1:], inf)
    last = sums.argmin(axis=1)
    largest, total = worst[each, last], sums[each, last]
    known = ends.largest[first, :-1]
    equal = (largest <= known * _TIE) & (total < ends.total[first, :-1])
    better = np.flatnonzero((largest * _TIE < known) | equal)
    ends.largest[first, better], ends.total[first, better] = largest[better], total[better]
    ends.devices[first, better], ends.layers[first, better] = stop, last[better] + 1


def _read(ends: list[_Ends], groups: _Groups) -> Cut:
    device = layer = 0
    cut = []
    for each in ends:
        stop, end = int(each.devices[device, layer]), int(each.layers[device, layer])
        cut.append((groups[device, stop], range(layer, end)))
        device, layer = stop, end
    return tuple(cut)
