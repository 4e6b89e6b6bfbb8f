"""The checked problem of a round: what it holds, what an allocation is, what is refused."""

import numpy as np
import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.bandwidth_problem import problem_of
from mpiedge.plan.bandwidth_shares import Shares


def test_payloads_are_by_device_or_by_device_and_block() -> None:
    by_device = problem_of([[1, 2], [3, 4]], [5, 6], 1.0)
    assert by_device.payload.tolist() == [[5], [6]]
    assert by_device.payloads.tolist() == [[5, 5], [6, 6]]
    assert problem_of([[1, 2], [3, 4]], [[5, 6], [7, 8]], 1.0).payloads[1].tolist() == [7, 8]


def test_an_allocation_has_a_share_for_every_device() -> None:
    problem = problem_of([[1, 2], [3, 4], [1, 1]], [1, 1, 1], 4.0)
    found = problem.allocation(np.array([2, 0]))
    assert found.shares[1] == 0
    assert found.shares.sum() == pytest.approx(4.0)
    assert found.shares[0] > found.shares[2]
    assert found.round_time == pytest.approx(2 + 1 / found.shares[0])
    given = problem.allocation(np.array([2, 0]), Shares(np.array([1.0, 3.0]), 7.0))
    assert (given.shares.tolist(), given.round_time) == ([3.0, 0.0, 1.0], 7.0)


def test_the_bandwidth_that_a_deadline_requires() -> None:
    problem = problem_of([[1, 2], [3, np.inf]], [4, 0], 3.0)
    assert problem.required(3.0).tolist() == [[2.0, 4.0], [6.0, 6.0]]
    assert problem.required(3.5).tolist() == [[1.6, 4 / 1.5], [0.0, 6.0]]


def test_a_device_without_bandwidth_has_no_block() -> None:
    problem = problem_of([[1, 2], [0, 0], [3, 4]], [1, np.inf, 1], 1.0)
    assert problem.seconds.tolist() == [[1, 2], [np.inf, np.inf], [3, 4]]


def test_devices_without_bandwidth_are_named_when_they_are_missed() -> None:
    with pytest.raises(
        Infeasible, match=r"blocks 0 to 1 need 2 devices .*; devices \[1\] have no bandwidth at all"
    ):
        problem_of([[1, 2], [0, 0]], [1, np.inf], 1.0)


def test_devices_without_memory_are_not_blamed_on_their_link() -> None:
    with pytest.raises(Infeasible, match="no device can hold block 1") as caught:
        problem_of([[1, 2], [1, 2]], [1, 1], 1.0, feasible=[[True, False]] * 2)
    assert "bandwidth" not in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([1.0], r"payload has shape \(1,\) and latency \(2, 2\); give a payload for each of the 2"),
        ([[1.0, 2.0, 3.0]] * 2, r"payload has shape \(2, 3\)"),
        (1.0, r"payload has shape \(\)"),
        ([1.0, -2.0], "payload of device 1 is -2.0 s per unit of bandwidth and must be 0 or more"),
        ([np.nan, 1.0], "payload of device 0 is nan"),
    ],
)
def test_payloads_that_mean_nothing_are_refused(payload: list[float], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        problem_of([[1, 2], [3, 4]], payload, 1.0)


def test_a_budget_and_an_objective_that_mean_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="budget is 0"):
        problem_of([[1]], [1], 0.0)
    with pytest.raises(BadInput, match="objective is 'a'"):
        problem_of([[1]], [1], 1.0, objective="a")  # type: ignore[arg-type]
