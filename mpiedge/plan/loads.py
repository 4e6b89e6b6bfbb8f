"""What every run of layers costs on every group of devices: the tables a planner looks up.

Equation 3 of PAC with unequal shares: the seconds of a stage are those of its slowest device, and
infinite where its devices' memory is too small.  Tables are [first, last] over all layers; groups
of like devices share them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpiedge.plan.grouping import Problem, Ranks
from mpiedge.plan.pace import even_shares, pace
from mpiedge.plan.shares import Counts, Floats, divide, slowest

_PLENTY = 2**40  # rows that no device will ever get

Kinds = tuple[tuple[float, int], ...]  # speed and memory of each device


class Loads:
    """Seconds and bytes of all runs of layers, worked out once for each kind of group."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._runs = problem, _runs(problem)
        self._known: dict[tuple[Kinds, int], Floats] = {}
        self._paces: dict[tuple[float, ...], float] = {}
        self.each = self._table(self._runs.each)
        self._needed: dict[int, Floats] = {}

    def seconds(self, ranks: Ranks, stages_left: int) -> Floats:
        """Seconds of a micro-batch, forward and backward, on a group's slowest device."""
        if not self._problem.together:
            return self._for(ranks, self._one_by_one(ranks, stages_left))
        kinds = tuple(sorted(self._kinds(ranks)))
        key = kinds, self._problem.in_flight(stages_left)
        if key not in self._known:
            runs, speeds = self._runs, np.array([speed for speed, _ in kinds])
            most = self._most(kinds, stages_left)
            shares = divide(self._problem.rows, runs.start, runs.each, speeds, most)
            self._known[key] = self._table(slowest(shares, runs.start, runs.each, speeds))
        return self._for(ranks, self._known[key])

    def _one_by_one(self, ranks: Ranks, stages_left: int) -> Floats:
        """The same where rows pass one by one: shares are alike for whatever fits all devices."""
        devices = [self._problem.cost.devices[rank] for rank in ranks]
        speeds = tuple(sorted(device.speed for device in devices))
        if speeds not in self._paces:
            self._paces[speeds] = pace(speeds, self._problem.rows)
        fits = self.needed(stages_left) <= min(device.memory for device in devices)
        if not fits.any() or self._paces[speeds] == np.inf:
            return np.full_like(self.each, np.inf)
        return np.where(fits, self.each * self._paces[speeds], np.inf)

    def crowding(self, ranks: Ranks, stages_left: int) -> Floats:
        """The part of its memory that a group's fullest device needs, rows shared out for that."""
        memory = np.array([float(max(1, size)) for _, size in self._kinds(ranks)])
        if not self._problem.together:
            parts = self.needed(stages_left) / memory.min()
            able = len(ranks) <= self._problem.rows
            return self._for(ranks, parts if able else np.full_like(parts, np.inf))
        fixed, each = _needs(self._problem, self._runs, stages_left)
        most = np.full((len(fixed), len(memory)), _PLENTY, np.int64)
        shares = divide(self._problem.rows, fixed, each, memory, most)
        return self._for(ranks, self._table(slowest(shares, fixed, each, memory)))

    def needed(self, stages_left: int) -> Floats:
        """Bytes of every run of layers, for rows that pass one by one."""
        flight = self._problem.in_flight(stages_left)
        if flight not in self._needed:
            fixed, _ = _needs(self._problem, self._runs, stages_left)
            self._needed[flight] = self._table(fixed)
        return self._needed[flight]

    def shares(self, ranks: Ranks, part: range, stages_left: int) -> tuple[int, ...]:
        """The shares, by rank, behind a finite entry of ``seconds``."""
        if not self._problem.together:
            devices = self._problem.cost.devices
            return even_shares([devices[rank].speed for rank in ranks], self._problem.rows)
        runs, kinds = self._runs, self._kinds(ranks)
        one = (runs.first == part.start) & (runs.last == part.stop - 1)
        most = self._most(kinds, stages_left)[one]
        speeds = np.array([speed for speed, _ in kinds])
        shares = divide(self._problem.rows, runs.start[one], runs.each[one], speeds, most)
        return tuple(int(share) for share in shares[0])

    def smallest(self, ranks: Ranks) -> int:
        """The rank with the least memory."""
        return min(ranks, key=lambda rank: self._problem.cost.devices[rank].memory)

    def _kinds(self, ranks: Ranks) -> Kinds:
        devices = [self._problem.cost.devices[rank] for rank in ranks]
        return tuple((device.speed, device.memory) for device in devices)

    def _most(self, kinds: Kinds, stages_left: int) -> Counts:
        """How many rows of a micro-batch fit each device."""
        fixed, each = _needs(self._problem, self._runs, stages_left)
        spare = np.array([[float(memory) for _, memory in kinds]]) - fixed[:, None]
        price = np.where(each > 0, each, 1.0)[:, None]
        rows = np.where(each[:, None] > 0, np.floor(spare / price), _PLENTY)
        return np.where(spare < 0, 0, np.clip(rows, 0, _PLENTY)).astype(np.int64)

    def _for(self, ranks: Ranks, table: Floats) -> Floats:
        allowed = not self._problem.groups or ranks in self._problem.groups
        return table if allowed else np.full_like(table, np.inf)

    def _table(self, values: Floats) -> Floats:
        runs, layers = self._runs, len(self._problem.cost.layers)
        table = np.full((layers, layers), np.inf)
        table[runs.first, runs.last] = np.where(runs.allowed, values, np.inf)
        return table


class _Runs(NamedTuple):
    """All runs of layers, from ``first`` to ``last``, one after the other."""

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    start: Floats  # seconds, whatever the rows
    each: Floats  # seconds a row
    fixed: Floats  # bytes, whatever is in flight
    held: Floats  # bytes of one micro-batch in flight
    working: Floats  # bytes while computing
    allowed: NDArray[np.bool_]


def _runs(problem: Problem) -> _Runs:
    layers, lowest, cost = problem.cost.layers, problem.lowest, problem.cost
    first, last = np.triu_indices(len(layers))
    copies = 1 + cost.moments

    def sums(values: Sequence[float]) -> Floats:
        before = np.concatenate([[0.0], np.cumsum(np.array(values, np.float64))])
        summed: Floats = before[last + 1] - before[first]
        return summed

    passes = sums([each.forward + each.backward * (i >= lowest) for i, each in enumerate(layers)])
    start = sums(
        [each.forward_start + each.backward_start * (i >= lowest) for i, each in enumerate(layers)]
    )
    tuned = problem.trainable
    working = np.array([float(each.working) for each in layers])
    return _Runs(
        first=first,
        last=last,
        start=start if problem.together else 0 * start,
        each=(passes - start) / cost.rows if problem.together else passes,
        fixed=sums([e.weights + copies * e.tuned * (i in tuned) for i, e in enumerate(layers)]),
        held=sums([each.activation * (i >= lowest) for i, each in enumerate(layers)]),
        # For each first layer, the largest of the layers from there on.
        working=np.concatenate([np.maximum.accumulate(working[i:]) for i in range(len(layers))]),
        allowed=_allowed(problem, first, last),
    )


def _allowed(
    problem: Problem, first: NDArray[np.intp], last: NDArray[np.intp]
) -> NDArray[np.bool_]:
    allowed = np.ones(len(first), np.bool_)
    if problem.bridge is not None:
        allowed &= (last < problem.bridge) | (first >= problem.bridge)
    if problem.parts:
        given = [(part.start, part.stop - 1) for part in problem.parts]
        ends = zip(first.tolist(), last.tolist(), strict=True)
        allowed &= np.array([pair in given for pair in ends], np.bool_)
    return allowed


def _needs(problem: Problem, runs: _Runs, stages_left: int) -> tuple[Floats, Floats]:
    """Bytes of every run of layers: whatever the rows, and for each row."""
    held = problem.in_flight(stages_left) * runs.held + runs.working
    if problem.together:
        return runs.fixed, held / problem.cost.rows
    return runs.fixed + held, np.zeros_like(held)
