"""Shares that leave room: hardly longer rounds, in which who is ready early has sent early."""

import numpy as np
import pytest
from scipy.optimize import minimize

from mpiedge.plan.bandwidth_shares import share
from mpiedge.plan.bandwidth_slack import loosened
from tests.plan.uplinks import drawn

SLACK = 0.01


@pytest.mark.parametrize("seed", range(40))
def test_the_round_is_hardly_longer_and_less_is_sent_at_a_time(seed: int) -> None:
    seconds, loads, budget = drawn(seed)
    shortest, loose = share(seconds, loads, budget), loosened(seconds, loads, budget, SLACK)
    assert loose.shares.sum() == pytest.approx(budget)
    assert (loose.shares > 0).all()
    assert loose.round_time == pytest.approx((seconds + loads / loose.shares).max())
    assert shortest.round_time * (1 - 1e-9) <= loose.round_time
    assert loose.round_time <= shortest.round_time * (1 + SLACK) * (1 + 1e-9)
    assert (loads / loose.shares).sum() <= (loads / shortest.shares).sum() * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_no_other_shares_send_in_fewer_seconds(seed: int) -> None:
    seconds, loads, budget = drawn(seed)
    loose, shortest = loosened(seconds, loads, budget, SLACK), share(seconds, loads, budget)
    least = loads / ((1 + SLACK) * shortest.round_time - seconds)
    found = minimize(
        lambda shares: (loads / shares).sum(),
        shortest.shares,
        jac=lambda shares: -loads / shares**2,
        bounds=[(low, budget) for low in least],
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - budget},
        method="SLSQP",
    )
    assert (loads / loose.shares).sum() <= found.fun * (1 + 1e-6)


def test_where_computing_is_all_the_early_ones_have_sent_long_before_the_end() -> None:
    """Of a round of 11 s the shortest one has the first device send for 7 s."""
    seconds, loads = np.array([3.5, 7.8, 10.8]), np.array([0.03, 0.03, 0.03])
    assert (loads / share(seconds, loads, 1.0).shares)[0] > 7
    assert (loads / loosened(seconds, loads, 1.0, SLACK).shares).max() < 0.1


@pytest.mark.parametrize("slack", [0.0, 1e-300, 1e-16])
@pytest.mark.parametrize("seed", range(10))
def test_without_slack_it_is_the_shortest_round(seed: int, slack: float) -> None:
    seconds, loads, budget = drawn(seed)
    assert np.array_equal(
        loosened(seconds, loads, budget, slack).shares, share(seconds, loads, budget).shares
    )


def test_who_has_nothing_to_send_has_no_share() -> None:
    loose = loosened([3.0, 1.0, 2.0], [0.0, 1.0, 2.0], 1.0, SLACK)
    assert loose.shares[0] == 0
    assert loose.shares.sum() == pytest.approx(1.0)
    assert loosened([3.0, 1.0], [0.0, 0.0], 1.0, SLACK).round_time == 3.0
