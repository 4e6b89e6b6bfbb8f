"""The parts of both dual ascents, for payloads by device and by device and block."""

import numpy as np

from mpiedge.plan.bandwidth_problem import problem_of
from mpiedge.plan.dual_parts import smallest, taken, usable

SECONDS = [[1.0, 2.0], [1.0, np.inf], [1.0, 2.0]]
BY_DEVICE = problem_of(SECONDS, [1.0, 2.0, np.inf], 1.0)
BY_BLOCK = problem_of(SECONDS, [[1.0, 2.0], [3.0, 4.0], [np.inf, np.inf]], 1.0)


def test_involvement_is_possible_where_a_block_can_be() -> None:
    assert usable(BY_DEVICE).tolist() == [[True], [True], [False]]
    assert usable(BY_BLOCK).tolist() == [[True, True], [True, False], [False, False]]


def test_a_matching_involves_its_devices() -> None:
    assert taken(BY_DEVICE, np.array([1, 0])).tolist() == [[1.0], [1.0], [0.0]]
    assert taken(BY_BLOCK, np.array([1, 0])).tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]


def test_the_smallest_values_are_marked() -> None:
    assert smallest(np.array([[3.0, -1.0], [np.inf, 2.0]]), 2).tolist() == [[0.0, 1.0], [0.0, 1.0]]
