"""The exact allocations against every matching with its best shares."""

import numpy as np
import pytest

from mpiedge.plan.bandwidth_problem import problem_of
from mpiedge.plan.bandwidth_shares import Objective
from mpiedge.plan.exact_allocation import cheapest, cut_sweep, exact, total
from mpiedge.plan.matching import bottleneck
from tests.plan.tables import matchings, of_matching, problem, small


@pytest.mark.parametrize("objective", ["A", "B"])
@pytest.mark.parametrize("seed", range(10))
def test_no_matching_makes_a_shorter_round(seed: int, objective: Objective) -> None:
    for each in small(np.random.default_rng(seed), 25, objective):
        every = [
            m for m in matchings(*each.seconds.shape) if of_matching(each.seconds, m).max() < 99
        ]
        least = min(each.shared(m).round_time for m in every)
        found = exact(each)
        assert found.round_time == pytest.approx(least, rel=1e-9)
        assert found.round_time == pytest.approx(each.shared(found.matching).round_time)
        assert found.shares.sum() == pytest.approx(each.budget)
        assert set(np.flatnonzero(found.shares)) == set(found.matching.tolist())


@pytest.mark.parametrize("seed", range(20))
def test_uploading_when_ready_is_never_slower(seed: int) -> None:
    a, b = (problem(np.random.default_rng(seed), 9, 6, objective=o) for o in ("A", "B"))
    assert exact(a).round_time <= exact(b).round_time * (1 + 1e-12)


@pytest.mark.parametrize("objective", ["A", "B"])
def test_without_payloads_it_is_crunch(objective: Objective) -> None:
    drawn = problem(np.random.default_rng(3), 9, 6)
    free = problem_of(drawn.seconds, np.zeros(9), 1.0, objective=objective)
    assert exact(free).round_time == bottleneck(drawn.seconds)


def test_a_device_with_nothing_to_send_takes_the_round_if_that_is_shorter() -> None:
    # Device 0 is on the server itself; device 1 computes faster but over a slow link.
    assert exact(problem_of([[3.0], [1.0]], [0.0, 4.0], 1.0)).matching.tolist() == [0]
    assert exact(problem_of([[3.0], [1.0]], [0.0, 1.0], 1.0)).matching.tolist() == [1]


def test_a_good_link_can_outweigh_a_fast_processor() -> None:
    found = exact(problem_of([[1.0], [2.0]], [9.0, 1.0], 1.0))
    assert (found.matching.tolist(), found.round_time) == ([1], 3.0)


def test_the_cheapest_matching_has_the_least_sum() -> None:
    costs = np.array([[1.0, 9.0], [2.0, 3.0], [np.inf, 8.0]])
    assert cheapest(costs).tolist() == [0, 1]
    assert total(costs, cheapest(costs)) == 4.0


@pytest.mark.parametrize("seed", range(30))
def test_the_sweep_takes_any_costs(seed: int) -> None:
    chance = np.random.default_rng(seed)
    seconds = problem(chance, 6, 4).seconds
    costs = chance.normal(size=(6, 4))
    least = min(of_matching(seconds, m).max() + total(costs, m) for m in matchings(6, 4))
    found = cut_sweep(seconds, costs)
    assert of_matching(seconds, found).max() + total(costs, found) == pytest.approx(least)
