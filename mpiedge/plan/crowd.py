"""Cutting a long row of devices and a row of layers together, when there are too many to try all.

``cuts`` is exact and takes the third power of the number of devices.  Here a time is given, and
the question is which devices a row of stages needs at least to keep it: from the last stage to the
first, each takes as few devices as have the speed for its layers, for all runs of layers at once.
That time is lowered as far as it goes (our design: bisection over a time, as for the bottleneck of
a chain, but with groups for single devices).

What is found is feasible, and no better than can be: ``limit`` is a bound on all there is.  It need
not be the best, since a device that is left over joins the first stage.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpiedge.plan.cuts import Cut, cuts
from mpiedge.plan.grouping import Problem, Ranks
from mpiedge.plan.loads import Loads
from mpiedge.plan.shares import Floats

Indices = NDArray[np.intp]

EXACT = 16
"""Devices up to which all groups are tried."""

_LOOSER = (1.0005, 1.002, 1.005, 1.01, 1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2.2, 3.0, 5.0, 10.0, 30.0)
"""Times that are tried, against the bound."""
_HALVINGS = 12  # of the time, once layers are cut
_LEVELS = 1024  # sizes of memory that are told apart; others count as the next smaller


class _Row(NamedTuple):
    """Devices in their order."""

    speed: Floats  # of the first so many together
    sums: list[float]  # the same
    levels: Floats  # sizes of memory
    small: Indices  # [level, devices]: the last of the first so many that has less; -1: none
    rows: int  # of a micro-batch: no group has more devices


class _Stages(NamedTuple):
    """What runs of layers need: seconds at speed 1, and the level of memory by stages left."""

    work: Floats
    levels: list[Indices]


def crowded(problem: Problem) -> bool:
    """Whether there are too many devices to try all groups of them."""
    many = len(problem.cost.devices) > EXACT
    return many and not problem.together and not problem.groups


def best_cuts(problem: Problem, loads: Loads, order: Ranks) -> dict[int, Cut]:
    """For each number of stages, the cut whose slowest stage is fastest, or nearly so in a crowd.

    Exact where groups are given, and for rows that are passed together.
    """
    if crowded(problem):
        return crowd_cuts(problem, loads, order)
    ends = tuple(accumulate(len(group) for group in problem.groups))
    return cuts(loads.seconds, order, len(problem.cost.layers), ends)


def limit(problem: Problem) -> float:
    """Seconds of a micro-batch in the slowest stage, which no grouping comes below.

    All work over all speed; for rows that pass one by one.
    """
    each = Loads(problem).each
    speed = sum(device.speed for device in problem.cost.devices)
    return float(problem.rows * np.diagonal(each).sum() / speed)


def crowd_cuts(problem: Problem, loads: Loads, order: Ranks) -> dict[int, Cut]:
    """For each number of stages, a cut whose slowest stage is fast; left out where none is found.

    As ``cuts``; for rows that pass one by one.
    """
    row, most = _row(problem, order), min(len(order), len(problem.cost.layers))
    needed = (loads.needed(left) for left in range(1, most + 1))
    stages = _Stages(problem.rows * loads.each, [_levels(row, one) for one in needed])
    found, least = dict[int, Cut](), limit(problem)
    for time in (least * looser for looser in _LOOSER):
        for runs in _in_time(row, stages, time):
            if len(runs) not in found:
                ends = _fastest(row, stages, runs, (least, time))
                groups = zip((0, *ends), ends, runs, strict=False)
                cut = tuple((order[start:stop], run) for start, stop, run in groups)
                found |= {len(runs): cut} if ends else {}
    return found


def _row(problem: Problem, order: Ranks) -> _Row:
    devices = [problem.cost.devices[rank] for rank in order]
    speed = np.cumsum([0.0, *(device.speed for device in devices)])
    memory = np.array([float(device.memory) for device in devices])
    levels = np.unique(memory)
    levels = levels[:: -(-len(levels) // _LEVELS)]
    level = levels.searchsorted(memory, "right") - 1
    less = level[None, :] < np.arange(len(levels) + 1)[:, None]
    last = np.maximum.accumulate(np.where(less, np.arange(len(order)), -1), axis=1)
    small = np.concatenate([np.full((len(last), 1), -1), last], axis=1)
    return _Row(speed, speed.tolist(), levels, small, problem.rows)


def _levels(row: _Row, needed: Floats) -> Indices:
    """The smallest level of memory that is enough; one too many where none is."""
    return row.levels.searchsorted(needed.ravel()).reshape(needed.shape)


def _in_time(row: _Row, stages: _Stages, time: float) -> Iterator[tuple[range, ...]]:
    """Runs of layers with which some number of stages keep a time, for each number that can."""
    layers = len(stages.work)
    left = np.full(layers + 1, -1)  # devices left for the layers before, by the first layer
    left[layers] = row.speed.size - 1
    lasts: list[Indices] = []
    for levels in stages.levels:
        before = _taken(row, stages.work / time, levels, left[None, 1:])
        last = before.argmax(axis=1)
        lasts.append(last)
        left = np.append(before[np.arange(layers), last], -1)
        if left[0] >= 0:
            yield _runs(lasts)


def _taken(row: _Row, speed: Floats, levels: Indices, stop: Indices) -> Indices:
    """Where the fewest devices up to ``stop`` begin with such speed and memory; -1: nowhere."""
    enough = row.speed[stop] - speed
    start = np.minimum(row.speed.searchsorted(enough.ravel(), "right").reshape(enough.shape), stop)
    start = start - 1
    able = (enough >= 0) & (stop > 0) & (start > row.small[levels, stop])
    return np.where(able & (stop - start <= row.rows), start, -1)


def _runs(lasts: Sequence[Indices]) -> tuple[range, ...]:
    runs, first = list[range](), 0
    for last in reversed(lasts):
        runs.append(range(first, int(last[first]) + 1))
        first = runs[-1].stop
    return tuple(runs)


def _fastest(
    row: _Row, stages: _Stages, runs: Sequence[range], between: tuple[float, float]
) -> tuple[int, ...]:
    """Where each stage's devices end, in the shortest time that is found; nothing if left-over
    devices cannot join the first stage."""
    low, high = between
    ends = _ends(row, stages, runs, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = _ends(row, stages, runs, middle)
        low, high, ends = (low, middle, tried) if tried else (middle, high, ends)
    return ends


def _ends(row: _Row, stages: _Stages, runs: Sequence[range], time: float) -> tuple[int, ...]:
    """The same in a given time."""
    ends = [len(row.sums) - 1]
    level = 0
    for levels, run in zip(stages.levels, reversed(runs), strict=False):
        level = levels[run.start, run.stop - 1]
        enough = row.sums[ends[0]] - float(stages.work[run.start, run.stop - 1]) / time
        start = min(bisect_right(row.sums, enough), ends[0]) - 1
        if start <= row.small[level, ends[0]] or ends[0] - start > row.rows:
            return ()
        ends.insert(0, start)
    joined = row.small[level, ends[1]] < 0 and ends[1] <= row.rows
    return tuple(ends[1:]) if joined else ()
