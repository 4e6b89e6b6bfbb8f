"""A local search over matchings: swap two blocks, or give a block to a device without one.

Apart from the dual ascent, whose best matching it polishes.
"""

import numpy as np

from mpiedge.plan.bandwidth_problem import Allocation, Problem
from mpiedge.plan.depths import Floats, Ints
from mpiedge.plan.exact_allocation import total


def exchanged(problem: Problem, start: Allocation) -> Allocation:
    """An allocation that no exchange of blocks makes faster (objective A; our design).

    An exchange makes the round shorter exactly if the bandwidth with which all devices meet the
    present round time falls.  The exchange that saves most is made until none saves any.
    """
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
