"""The shares of a settled matching, against a general optimiser and what they must add up to."""

import numpy as np
import pytest
from scipy.optimize import minimize

from mpiedge.errors import BadInput
from mpiedge.plan.bandwidth_shares import Objective, share, split_equally
from tests.plan.uplinks import drawn


@pytest.mark.parametrize("seed", range(200))
def test_in_a_all_finish_together_and_the_shares_are_the_budget(seed: int) -> None:
    seconds, loads, budget = drawn(seed)
    shares, time = share(seconds, loads, budget)
    assert (shares > 0).all()
    assert shares.sum() == pytest.approx(budget, rel=1e-12)
    assert seconds + loads / shares == pytest.approx(np.full(len(seconds), time), rel=1e-9)


@pytest.mark.parametrize("seed", range(200))
def test_in_b_all_uploads_take_the_same_time(seed: int) -> None:
    seconds, loads, budget = drawn(seed)
    shares, time = share(seconds, loads, budget, "B")
    assert shares.sum() == pytest.approx(budget, rel=1e-12)
    assert seconds.max() + loads / shares == pytest.approx(np.full(len(seconds), time), rel=1e-12)


@pytest.mark.parametrize("objective", ["A", "B"])
@pytest.mark.parametrize("seed", range(10))
def test_a_general_optimiser_finds_no_shorter_round(seed: int, objective: Objective) -> None:
    seconds, loads, budget = drawn(seed)
    time = share(seconds, loads, budget, objective).round_time
    start = np.append(np.full(len(loads), budget / len(loads)), 2 * time + loads.max() * 9)
    compute = seconds if objective == "A" else np.full(len(seconds), seconds.max())
    limits = [
        {"type": "ineq", "fun": lambda x: x[-1] - compute - loads / x[:-1]},
        {"type": "ineq", "fun": lambda x: budget - x[:-1].sum()},
    ]
    bounds = [(1e-6, budget)] * len(loads) + [(0, None)]
    options = {"maxiter": 500, "ftol": 1e-12}
    found = minimize(
        lambda x: x[-1], start, bounds=bounds, constraints=limits, method="SLSQP", options=options
    )
    # status 8: no step was found that would be any better, as at the end itself
    assert found.success or found.status == 8
    assert time == pytest.approx(found.fun, rel=1e-5)


def test_a_late_device_and_a_weak_channel_get_more() -> None:
    late = share([1.0, 3.0], [1.0, 1.0], 2.0).shares
    weak = share([1.0, 1.0], [1.0, 3.0], 2.0).shares
    assert late[1] > late[0]
    assert weak[1] > weak[0]


def test_uploads_far_shorter_than_computing_keep_their_precision() -> None:
    shares, time = share([1e6, 1e6], [1e-9, 3e-9], 1.0)
    assert shares == pytest.approx([0.25, 0.75])
    assert time == pytest.approx(1e6)


def test_a_device_with_nothing_to_send_takes_nothing() -> None:
    shares, time = share([5.0, 1.0], [0.0, 2.0], 4.0)
    assert (shares.tolist(), time) == ([0.0, 4.0], 5.0)
    shares, time = share([1.0, 1.0], [0.0, 2.0], 4.0)
    assert (shares.tolist(), time) == ([0.0, 4.0], 1.5)


@pytest.mark.parametrize("objective", ["A", "B"])
def test_nothing_to_send_at_all_is_computing_alone(objective: Objective) -> None:
    shares, time = share([5.0, 1.0], [0.0, 0.0], 4.0, objective)
    assert (shares.tolist(), time) == ([2.0, 2.0], 5.0)


def test_an_equal_split_is_what_it_says() -> None:
    a, b = (split_equally([1.0, 3.0], [4.0, 1.0], 2.0, o) for o in ("A", "B"))
    assert (a.shares.tolist(), a.round_time) == ([1.0, 1.0], 5.0)
    assert (b.shares.tolist(), b.round_time) == ([1.0, 1.0], 7.0)


@pytest.mark.parametrize("budget", [0.0, -1.0, np.nan, np.inf])
def test_a_budget_that_carries_nothing_is_refused(budget: float) -> None:
    with pytest.raises(BadInput, match=f"budget is {budget} and must be a finite number above 0"):
        share([1.0], [1.0], budget)


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(BadInput, match="objective is 'C' and must be"):
        share([1.0], [1.0], 1.0, "C")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "loads", "message"),
    [
        ([1.0, 2.0], [1.0], r"latencies have shape \(2,\) and payloads \(1,\)"),
        ([], [], "one of each"),
        ([-1.0], [1.0], r"a latency of \[-1.0\] is not"),
        ([1.0], [np.inf], r"a payload of \[inf\] is not .* leave out"),
    ],
)
def test_what_nothing_can_be_sent_with_is_refused(
    seconds: list[float], loads: list[float], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        split_equally(seconds, loads, 1.0)
