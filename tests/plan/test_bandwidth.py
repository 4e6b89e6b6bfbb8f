"""JBBA's entrance: both objectives and methods, and what is refused."""

import numpy as np
import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.bandwidth import allocate, ascend
from mpiedge.plan.bandwidth_problem import Method
from mpiedge.plan.bandwidth_shares import Objective
from tests.plan.tables import problem

LATENCY = [[1.0, 2.0], [2.0, 4.0], [1.0, 3.0]]


@pytest.mark.parametrize("objective", ["A", "B"])
@pytest.mark.parametrize("method", ["exact", "dual"])
def test_the_parts_of_an_answer_agree(objective: Objective, method: Method) -> None:
    matching, shares, time = allocate(LATENCY, [1.0, 1.0, 0.5], 4.0, objective, method)
    assert matching.tolist() == [2, 0]
    assert shares.sum() == pytest.approx(4.0)
    assert shares[1] == 0
    compute, upload = np.array([1.0, 2.0]), np.array([0.5, 1.0]) / shares[[2, 0]]
    ends = compute + upload if objective == "A" else compute.max() + upload
    assert ends == pytest.approx([time, time])


def test_memory_decides_too() -> None:
    fits = [[True, False], [True, True], [True, False]]
    found = allocate(LATENCY, [1.0, 1.0, 1.0], 4.0, feasible=fits)
    assert found.matching[1] == 1


def test_the_exact_answer_is_the_default() -> None:
    each = problem(np.random.default_rng(8), 12, 8)
    payload = each.payload[:, 0]
    default = allocate(each.seconds, payload, each.budget)
    given = allocate(each.seconds, payload, each.budget, "A", "exact")
    assert (default.matching == given.matching).all()
    assert default.round_time == given.round_time
    dual = allocate(each.seconds, payload, each.budget, "A", "dual")
    assert dual.round_time >= default.round_time * (1 - 1e-9)


@pytest.mark.parametrize("objective", ["A", "B"])
def test_each_objective_has_its_ascent(objective: Objective) -> None:
    each = problem(np.random.default_rng(2), 5, 4, objective=objective)
    found = ascend(each)
    assert (
        found.allocation.round_time
        == allocate(each.seconds, each.payload[:, 0], each.budget, objective, "dual").round_time
    )
    assert (found.steps == 1) == (objective == "B")


def test_a_device_without_bandwidth_is_passed_over_or_named() -> None:
    found = allocate(LATENCY, [1.0, 1.0, np.inf], 4.0)
    assert found.shares[2] == 0
    with pytest.raises(Infeasible, match=r"devices \[0, 2\] have no bandwidth at all"):
        allocate(LATENCY, [np.inf, 1.0, np.inf], 4.0)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(BadInput, match="method is 'greedy' and must be"):
        allocate(LATENCY, [1.0, 1.0, 1.0], 4.0, "A", "greedy")  # type: ignore[arg-type]


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(BadInput, match=r"budget is -4\.0"):
        allocate(LATENCY, [1.0, 1.0, 1.0], -4.0)
