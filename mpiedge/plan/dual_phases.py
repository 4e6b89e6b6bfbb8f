"""JBBA by dual ascent for objective B: computing and uploading in two synchronised phases.

Only involvement q couples the matching x and the bandwidth, with prices nu on q = x.  The dual
function splits (our reconstruction; the paper's equations are not known):

    min_x  slowest seconds of x + sum nu x      CRUNCH's cuts, one Hungarian assignment each
  + min_q  sum (a / B - nu) q                   the smallest coefficients

with payload a and budget B.  There is no duality gap: at nu = a / B the second part is 0 and the
first is the problem itself, so an ascent that starts there ends at its first step.
"""

import numpy as np

from mpiedge.plan.bandwidth_problem import Problem
from mpiedge.plan.depths import Floats
from mpiedge.plan.dual_parts import GAP, Ascent, smallest, taken, usable
from mpiedge.plan.exact_allocation import cut_sweep


def ascend_phases(problem: Problem, prices: Floats | None = None, steps: int = 100) -> Ascent:
    """Ascend for at most so many steps, by Polyak's rule; the prices [like payload] start it."""
    can = usable(problem)
    upload = np.where(can, problem.payload, 0.0) / problem.budget
    nu = upload if prices is None else prices
    best, bound, done = None, 0.0, 0
    while best is None or (done < steps and best.round_time - bound > GAP * best.round_time):
        matching = cut_sweep(problem.seconds, np.broadcast_to(nu, problem.seconds.shape))
        found = problem.allocation(matching)
        best = found if best is None or found.round_time < best.round_time else best
        q = smallest(np.where(can, upload - nu, np.inf), len(matching))
        x = taken(problem, matching)
        slowest = problem.seconds[matching, np.arange(len(matching))].max()
        value = float(slowest + (nu * x).sum() + ((upload - nu) * q).sum())
        bound, done = max(bound, value), done + 1
        slope = x - q
        # Without a slope the value is the largest there is.
        nu = nu + (best.round_time - value) / max(1.0, float((slope**2).sum())) * slope
    return Ascent(best, bound, done)
