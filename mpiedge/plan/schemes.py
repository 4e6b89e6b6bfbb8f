"""The schemes that allocate blocks and bandwidth, by name: JBBA and what it is compared with.

Apart from the solvers, so that a run can choose one by a setting and a plan can show them all.
"""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from mpiedge.errors import BadInput
from mpiedge.plan.bandwidth import ascend
from mpiedge.plan.bandwidth_problem import Allocation, Problem
from mpiedge.plan.bandwidth_shares import split_equally
from mpiedge.plan.exact_allocation import exact
from mpiedge.plan.matching import Matching, crunch
from mpiedge.plan.matching_schemes import random_matching, sum_matching

Scheme = Callable[[Problem, int], Allocation]
"""An allocation from a problem and a seed, which only the random schemes use."""


def scheme(name: str) -> Scheme:
    """The scheme of this name; raises BadInput for any other."""
    if name not in SCHEMES:
        raise BadInput(f"there is no scheme {name!r}; use one of {', '.join(SCHEMES)}")
    return SCHEMES[name]


def _optimal(problem: Problem, matching: Matching) -> Allocation:
    return problem.allocation(matching.blocks)


def _equal(problem: Problem, matching: Matching) -> Allocation:
    blocks = np.arange(len(matching.blocks))
    seconds = problem.seconds[matching.blocks, blocks]
    payloads = problem.payloads[matching.blocks, blocks]
    shares = split_equally(seconds, payloads, problem.budget, problem.objective)
    return problem.allocation(matching.blocks, shares)


def _random(problem: Problem, seed: int) -> Matching:
    return random_matching(problem.seconds, seed=seed)


SCHEMES = MappingProxyType[str, Scheme](
    {
        "jbba": lambda problem, _: exact(problem),
        "jbba-dual": lambda problem, _: ascend(problem).allocation,
        "crunch": lambda problem, _: _optimal(problem, crunch(problem.seconds)),
        "crunch-equal": lambda problem, _: _equal(problem, crunch(problem.seconds)),
        "random": lambda problem, seed: _optimal(problem, _random(problem, seed)),
        "random-equal": lambda problem, seed: _equal(problem, _random(problem, seed)),
        "sum": lambda problem, _: _optimal(problem, sum_matching(problem.seconds)),
    }
)
"""By name: jointly, exactly and by dual ascent; then a matching on seconds of computing alone,
CRUNCH's, a random one or the one of least sum, with the best shares or equal ones."""
