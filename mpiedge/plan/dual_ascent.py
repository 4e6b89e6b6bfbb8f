"""JBBA by dual ascent for objective A, as the paper solves it: prices part blocks and bandwidth.

The paper (arXiv 2407.09873) introduces variables for a device's involvement, so that the
Lagrangian splits into a block part, solved by the Hungarian method with CRUNCH's help, and a
bandwidth part in closed form.  The equations are our reconstruction.

Let t be the seconds and a the payload of a device and block, q the involvement, L the blocks and
B the budget.  The round lasts as long as any device; with prices lambda on that, which add up to
1 over the devices, and nu on q = x, the dual function is

    min_x  sum x (lambda t + nu)                           one Hungarian assignment
  + min_q  (sum q sqrt(lambda a))^2 / B - sum nu q         bandwidth b ~ sqrt(lambda a)

A weak channel or a late device gets more bandwidth.  Involvement has the payload's shape: one a
device, or one a device and block.  CRUNCH gives the first matching, and edges slower than the best
round so far are left out.  A matching met that makes a shorter round with its best bandwidth, as
it is or after an exchange of blocks or two, is kept.

With more devices than blocks the bound is weak whatever the prices, as the dual may spread a
block over several devices.  So the ascent ends after a number of steps, and not at a small gap.
"""

from typing import NamedTuple

import numpy as np

from mpiedge.plan.bandwidth_problem import Problem
from mpiedge.plan.depths import Floats, Ints
from mpiedge.plan.dual_parts import GAP, Ascent, taken, usable
from mpiedge.plan.exact_allocation import cheapest, total
from mpiedge.plan.exchanges import exchanged, sooner
from mpiedge.plan.involvement import involvement
from mpiedge.plan.matching import bottleneck, depths_of, read_out

_LATE_STEP = 2.0  # of the logarithm of lambda for a device late by the round time, at first
_INVOLVED_STEP = 0.4  # of nu, as a part of the round time over the devices, at first
_LEAST = 1e-12  # lambda, by which the closed form divides
_MOVES = 2  # exchanges from each matching met
_MOST = 1.0  # change of the logarithm of lambda in a step


class Prices(NamedTuple):
    """Lambda [devices, 1], adding up to 1, and nu of the payload's shape."""

    late: Floats
    involved: Floats


class Parts(NamedTuple):
    """The answers of the two parts: the matching, the involvement, and the dual function.

    ``alpha`` is sqrt(lambda a / B), of the payload's shape, infinite where no block can be.
    """

    matching: Ints
    q: Floats
    alpha: Floats
    value: float


def ascend_deadlines(problem: Problem, steps: int = 40, polish: bool = True) -> Ascent:
    """Ascend for at most so many steps; ``polish`` also tries exchanges of blocks."""
    devices, seconds = len(problem.seconds), problem.seconds
    first = read_out(seconds, depths_of(seconds, bottleneck(seconds)))
    best, bound = problem.allocation(first), 0.0
    prices = Prices(np.full((devices, 1), 1 / devices), np.zeros(problem.payload.shape))
    for step in range(1, steps + 1):
        parts = _parts(problem, prices, best.round_time)
        bound = max(bound, parts.value)
        found = sooner(problem, best.round_time, parts.matching, _MOVES if polish else 0)
        best = best if found is None else problem.allocation(found)
        if best.round_time - bound <= GAP * best.round_time:
            break
        prices = _stepped(problem, prices, parts, best.round_time, step)
    return Ascent(exchanged(problem, best) if polish else best, bound, step)


def _parts(problem: Problem, prices: Prices, limit: float) -> Parts:
    """Both parts at these prices, with the edges that a round better than ``limit`` can use."""
    allowed = problem.seconds <= limit
    costs = np.full(allowed.shape, np.inf)
    np.multiply(prices.late, problem.seconds, out=costs, where=allowed)
    costs += prices.involved
    matching = cheapest(costs)
    payload = np.where(usable(problem), problem.payload, np.inf)
    alpha = np.sqrt(prices.late * payload / problem.budget)
    bandwidth = involvement(alpha, prices.involved, len(matching))
    return Parts(matching, bandwidth.q, alpha, total(costs, matching) + bandwidth.value)


def _stepped(problem: Problem, prices: Prices, parts: Parts, scale: float, step: int) -> Prices:
    """The prices after a step along the supergradient.

    Lambda moves by the lateness of its device in the two parts' answers, as a factor, so that it
    stays on the simplex and above 0; nu moves by x - q.
    """
    matching, q = parts.matching, parts.q
    late = np.zeros_like(prices.late)
    late[matching, 0] = problem.seconds[matching, np.arange(len(matching))]
    bandwidth = np.where(q > 0, parts.alpha, 0.0) * q
    late += float(bandwidth.sum()) * bandwidth.sum(axis=1, keepdims=True) / prices.late
    size = 1 / np.sqrt(step)
    beyond = (late - float((prices.late * late).sum())) / scale
    grown = prices.late * np.exp(np.clip(_LATE_STEP * size * beyond, -_MOST, _MOST))
    moved = _INVOLVED_STEP * size * scale / len(late) * (taken(problem, matching) - q)
    return Prices(np.maximum(grown / grown.sum(), _LEAST), prices.involved + moved)
