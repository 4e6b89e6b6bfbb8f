"""What the two dual ascents of JBBA have in common: the answer, the involvement, the tables.

Apart from both, so that each file holds one Lagrangian and its ascent.
"""

from dataclasses import dataclass

import numpy as np

from mpiedge.plan.bandwidth_problem import Allocation, Problem
from mpiedge.plan.depths import Bools, Floats, Ints

GAP = 1e-9  # of the round time, between it and the bound, at which an ascent has arrived


@dataclass(frozen=True)
class Ascent:
    """The best allocation, the largest dual value met (no round is shorter), and the steps."""

    allocation: Allocation
    bound: float
    steps: int


def usable(problem: Problem) -> Bools:
    """Where involvement is possible, of the payload's shape."""
    possible = np.isfinite(problem.seconds)
    # The first block fits wherever any does.
    return possible[:, : problem.payload.shape[1]]


def taken(problem: Problem, matching: Ints) -> Floats:
    """The involvement that a matching makes, 0 or 1, of the payload's shape."""
    found: Floats = np.zeros_like(problem.payload)
    column = np.arange(len(matching)) if found.shape[1] > 1 else 0
    found[matching, column] = 1.0
    return found


def smallest(values: Floats, count: int) -> Floats:
    """1 at the ``count`` smallest values and 0 elsewhere, of their shape."""
    found = np.zeros(values.size)
    found[np.argpartition(values, count - 1, axis=None)[:count]] = 1.0
    return found.reshape(values.shape)
