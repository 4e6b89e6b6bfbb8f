"""JBBA: blocks and uplink bandwidth allocated together, so that the round is shortest.

The joint problem of LoLa DEFT (arXiv 2407.09873), whose abstract names it and its solution by
dual ascent.  The equations are our reconstruction.  This file is the entrance to the solvers.
"""

from numpy.typing import ArrayLike

from mpiedge.errors import BadInput
from mpiedge.plan.bandwidth_problem import Allocation, Method, Problem, problem_of
from mpiedge.plan.bandwidth_shares import Objective
from mpiedge.plan.dual_ascent import ascend_deadlines
from mpiedge.plan.dual_parts import Ascent
from mpiedge.plan.dual_phases import ascend_phases
from mpiedge.plan.exact_allocation import exact


def allocate(
    latency: ArrayLike,
    payload: ArrayLike,
    budget: float,
    objective: Objective = "A",
    method: Method = "exact",
    *,
    feasible: ArrayLike | None = None,
) -> Allocation:
    """A device for each block and a share of the budget for each device.

    ``latency`` are seconds [devices, blocks], block 0 nearest the loss, and ``feasible`` says
    where a block fits the device's memory; ``payload`` are seconds per unit of bandwidth,
    [devices] or [devices, blocks], infinite for a device without bandwidth, which then has no
    block.  Objective A is the longest computing and upload of any device, B the longest computing
    and then the longest upload.  Method ``exact`` is the default at every size: it takes no
    more linear assignments than ``dual``, the paper's dual ascent, which is near the optimum for
    A and reaches it for B.

    Raises BadInput for what cannot be used, Infeasible when not all blocks have a device.
    """
    if method not in ("exact", "dual"):
        raise BadInput(f'method is {method!r} and must be "exact" or "dual"')
    problem = problem_of(latency, payload, budget, objective=objective, feasible=feasible)
    return exact(problem) if method == "exact" else ascend(problem).allocation


def ascend(problem: Problem) -> Ascent:
    """The dual ascent of the problem's objective, with the bound that it reached."""
    return ascend_deadlines(problem) if problem.objective == "A" else ascend_phases(problem)
