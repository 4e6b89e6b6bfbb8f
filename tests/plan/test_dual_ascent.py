"""Dual ascent for objective A: its bound, what it recovers, and what exchanges add."""

import numpy as np
import pytest

from mpiedge.plan.bandwidth_problem import problem_of
from mpiedge.plan.dual_ascent import ascend_deadlines
from mpiedge.plan.exact_allocation import exact
from tests.plan.tables import problem, small


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_is_below_the_optimum_and_the_recovered_round_above(seed: int) -> None:
    for each in small(np.random.default_rng(seed), 15):
        best, found = exact(each).round_time, ascend_deadlines(each, 40, polish=False)
        assert found.bound <= best * (1 + 1e-9)
        assert best <= found.allocation.round_time * (1 + 1e-9)
        assert found.allocation.shares.sum() == pytest.approx(each.budget)


def test_with_a_block_for_every_device_it_is_within_three_per_cent() -> None:
    chance, optimal, bounds = np.random.default_rng(5), 0, list[float]()
    for _ in range(30):
        size = int(chance.integers(2, 9))
        each = problem(chance, size, size)
        best, found = exact(each).round_time, ascend_deadlines(each)
        assert found.allocation.round_time <= 1.03 * best
        bounds.append(found.bound / best)
        optimal += found.allocation.round_time <= best * (1 + 1e-9)
    assert optimal >= 27
    assert np.mean(bounds) > 0.9


def test_more_devices_than_blocks_with_exchanges() -> None:
    chance, optimal = np.random.default_rng(6), 0
    for number in range(30):
        each = problem(chance, 9, 6, by_block=bool(number % 2))
        best = exact(each).round_time
        found, plain = (ascend_deadlines(each, polish=p).allocation for p in (True, False))
        assert found.round_time <= min(1.05 * best, plain.round_time)
        optimal += found.round_time <= best * (1 + 1e-9)
    assert optimal >= 24


def test_more_steps_raise_the_bound() -> None:
    each = problem(np.random.default_rng(1), 6, 6)
    few, many = ascend_deadlines(each, 2), ascend_deadlines(each, 100)
    assert many.bound > few.bound
    assert (few.steps, many.steps) == (2, 100)


def test_the_bound_of_equal_devices_is_spread_over_them() -> None:
    # The dual gives one block to all of four equal devices, a part to each.
    each = problem_of(np.ones((4, 1)), np.ones(4), 1.0)
    found = ascend_deadlines(each, 300)
    assert found.allocation.round_time == 2.0
    assert found.bound == pytest.approx(0.5, rel=0.3)


def test_one_device_and_block_end_at_once() -> None:
    found = ascend_deadlines(problem_of([[1.0]], [1.0], 2.0))
    assert (found.allocation.round_time, found.steps) == (1.5, 1)
    assert found.bound == pytest.approx(1.5)


def test_a_device_without_a_link_and_one_with_nothing_to_send_are_no_trouble() -> None:
    each = problem_of([[1.0, 2.0], [1.0, 2.0], [3.0, 3.0]], [np.inf, 0.0, 1.0], 1.0)
    found = ascend_deadlines(each).allocation
    assert found.round_time == exact(each).round_time == 4.0
    assert found.matching.tolist() == [2, 1] or found.matching.tolist() == [1, 2]
