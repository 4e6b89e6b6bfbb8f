"""What is said when nothing fits."""

from dataclasses import replace

import pytest

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel, LayerProfile
from mpiedge.plan.grouping import Problem
from mpiedge.plan.hybrid import group
from tests.plan.problems import LINK, even


def test_who_is_short_and_what_would_repair_it() -> None:
    with pytest.raises(Infeasible) as short:
        group(even(2, memory=30 * 2**20))
    # Whole on both ranks it is 80 MiB, halved 40 and what is in flight; either is too much.
    assert "no grouping of the 2 ranks fits their memory: at best rank 1 " in str(short.value)
    assert "MiB for layers 3..7 and has 30 MiB free" in str(short.value)
    assert "even the weights alone do not fit: add ranks" in str(short.value)


def test_a_micro_batch_that_would_fit_is_named() -> None:
    problem = even(2, memory=48 * 2**20)
    crowded = tuple(LayerProfile(1.0, 1.0, 10 * 2**20, 0, 8 * 2**20, 8) for _ in range(8))
    cost = CostModel(crowded, problem.cost.devices, LINK, rows=16)
    own = Problem(cost, problem.trainable, 4, 4, together=False)
    # Two micro-batches in flight at the first stage: 4 layers of 10 MiB, and 2 * 4 * 8 MiB
    # at 16 rows, 8 at 2, 4 at 1.
    with pytest.raises(Infeasible, match=r"lower training.micro_batch_size \(now 16\) to 2, or"):
        group(own)
    assert group(Problem(cost.at(2), problem.trainable, 4, 4, together=False)).groups


def test_one_device_cannot_keep_two_stacks_apart() -> None:
    problem = even(1)
    apart = Problem(problem.cost, problem.trainable, 4, 4, bridge=4)
    with pytest.raises(Infeasible, match="strategy.mixed = false"):
        group(apart)


def test_more_devices_than_rows_and_layers_can_occupy() -> None:
    with pytest.raises(Infeasible, match="7 ranks cannot share 3 layers and 2 micro-batches"):
        group(even(7, layers=3, rows=2))


def test_many_devices_are_looked_at_in_parts() -> None:
    problem = replace(even(40, memory=8 * 2**20, rows=40), together=False)
    with pytest.raises(Infeasible, match=r"of the 40 ranks .* needs 1\d MiB .* has 8 MiB free"):
        group(problem)
