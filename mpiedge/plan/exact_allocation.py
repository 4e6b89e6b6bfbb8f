"""Blocks and bandwidth together, exactly: the oracle for JBBA, and its default.

With one block a device the joint problem is solved by a few linear assignments (our design,
section 4.2 of the reconstruction).  Apart from the dual ascents, which are compared with it.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from mpiedge.plan.bandwidth_problem import Allocation, Problem
from mpiedge.plan.depths import Floats, Ints
from mpiedge.plan.matching import bottleneck, depths_of, read_out


def exact(problem: Problem) -> Allocation:
    """The allocation whose round is shortest."""
    if problem.objective == "B":
        return problem.allocation(cut_sweep(problem.seconds, problem.payloads / problem.budget))
    return _meet_deadlines(problem)


def cheapest(costs: Floats) -> Ints:
    """The device of each block [blocks] with the least sum of costs [devices, blocks]."""
    blocks, devices = linear_sum_assignment(costs.T)
    return np.asarray(devices[np.argsort(blocks)], dtype=np.intp)


def total(costs: Floats, matching: Ints) -> float:
    """The sum of a matching's costs [devices, blocks]."""
    return float(costs[matching, np.arange(len(matching))].sum())


def _meet_deadlines(problem: Problem) -> Allocation:
    """Objective A: shorten the deadline until no matching needs less than the budget.

    A device meets the deadline T with bandwidth payload / (T - seconds), so the matching that
    needs least bandwidth is a linear assignment.  If it needs less than the budget, its own round
    time is the next, earlier deadline.  This is Dinkelbach's iteration (Management Science 13,
    1967): deadlines fall strictly and matchings are finite, so it ends, at an optimum.
    """
    seconds = problem.seconds
    best = problem.allocation(read_out(seconds, depths_of(seconds, bottleneck(seconds))))
    while True:
        needed = problem.required(best.round_time)
        matching = cheapest(needed)
        if not total(needed, matching) < problem.budget:
            return best
        found = problem.allocation(matching)
        if not found.round_time < best.round_time:
            return best
        best = found


def cut_sweep(seconds: Floats, costs: Floats) -> Ints:
    """The matching with the least slowest seconds plus sum of costs [devices, blocks].

    One linear assignment for each cut of the slowest edges, down to CRUNCH's, below which there
    is no matching.  The sum rises with every cut, so the sweep ends as soon as CRUNCH's seconds
    with the last sum are no better than the best.
    """
    least = bottleneck(seconds)
    blocks = np.arange(seconds.shape[1])
    best, best_time, limit = None, np.inf, np.inf
    while True:
        allowed = seconds < limit if limit < np.inf else np.isfinite(seconds)
        matching = cheapest(np.where(allowed, costs, np.inf))
        slowest = float(seconds[matching, blocks].max())
        cost = total(costs, matching)
        if best is None or slowest + cost < best_time:
            best, best_time = matching, slowest + cost
        if slowest <= least or least + cost >= best_time:
            return best
        limit = slowest
