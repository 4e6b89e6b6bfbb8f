"""A local search over matchings: swap two blocks, or give a block to a device without one.

Apart from the dual ascent, whose matchings it starts from.  For objective A (our design): an
exchange makes the round shorter exactly if the bandwidth with which all devices meet the present
round time falls.
"""

import numpy as np

from mpiedge.plan.bandwidth_problem import Allocation, Problem
from mpiedge.plan.depths import Floats, Ints
from mpiedge.plan.exact_allocation import total


def exchanged(problem: Problem, start: Allocation) -> Allocation:
    """An allocation that no exchange makes faster; the one that saves most is made each time."""
    best = start
    while True:
        needed = problem.required(best.round_time)
        matching = _best_exchange(needed, best.matching)
        if not total(needed, matching) < problem.budget:
            return best
        found = problem.allocation(matching)
        if not found.round_time < best.round_time:
            return best
        best = found


def sooner(problem: Problem, deadline: float, start: Ints, moves: int) -> Ints | None:
    """A matching at most so many exchanges from the start that meets the deadline with less.

    Less than the whole budget, that is, so that its own round is shorter.  None if none is met.
    """
    needed, matching = problem.required(deadline), start
    for _ in range(moves):
        if total(needed, matching) < problem.budget:
            break
        matching = _best_exchange(needed, matching)
    return matching if total(needed, matching) < problem.budget else None


def _best_exchange(needed: Floats, matching: Ints) -> Ints:
    """The matching after the exchange that needs least bandwidth, which may need more."""
    blocks = np.arange(len(matching))
    now = needed[matching, blocks]
    swaps = needed[matching] + needed[matching].T - now[:, None] - now
    np.fill_diagonal(swaps, np.inf)
    free = np.setdiff1d(np.arange(len(needed)), matching)
    moves = needed[free] - now
    after: Ints = matching.copy()
    if moves.min(initial=np.inf) < swaps.min():
        device, block = np.unravel_index(moves.argmin(), moves.shape)
        after[block] = free[device]
    else:
        one, other = np.unravel_index(swaps.argmin(), swaps.shape)
        after[[one, other]] = matching[[other, one]]
    return after
