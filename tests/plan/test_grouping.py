"""Equations 4 to 6 against the same written out as they are printed."""

import random
from dataclasses import replace

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.grouping import Group, Problem, all_reduce, latency
from mpiedge.plan.hybrid import groupings
from tests.plan.problems import cost_of, random_problem, roomy


def _written_out(problem: Problem, groups: tuple[Group, ...]) -> float:
    """Equations 4a, 4b and 5 as they are printed, for one stage after the other."""
    cost, last = problem.cost, len(groups) - 1
    lowest = min(problem.trainable, default=len(cost.layers))

    def passes(stage: int) -> tuple[float, float]:
        there, back = [], []
        for rank, share in zip(groups[stage].ranks, groups[stage].shares, strict=True):
            at = cost_of(problem, share)
            times = (1 if problem.together else share) / cost.devices[rank].speed
            there.append(times * sum(at.layers[i].forward for i in groups[stage].layers))
            tuned = [i for i in groups[stage].layers if i >= lowest]
            back.append(times * sum(at.layers[i].backward for i in tuned))
        return max(there), max(back)

    def link(stage: int, up: bool) -> float:
        share = max(*groups[stage].shares, *groups[stage + 1].shares)
        crossed = cost.layers[groups[stage].layers.stop - 1]
        size = crossed.boundary if up or crossed.gradient is None else crossed.gradient
        passes = 1 if problem.together else share
        return passes * cost.link.latency + share * size / cost.link.bandwidth

    def ring(stage: int) -> float:
        size = len(groups[stage].ranks)
        tuned = [i for i in groups[stage].layers if i in problem.trainable]
        data = sum(cost.layers[i].tuned for i in tuned) / cost.link.bandwidth
        return 2 * (size - 1) * (cost.link.latency + data / size) if data else 0.0

    trains = bool(problem.trainable)
    beginning = sum(passes(i)[0] + link(i, up=True) for i in range(last))
    execution = problem.micro_batches * sum(passes(last))
    ending = max(
        ring(i) + sum(passes(j)[1] + (link(j, up=False) if trains else 0) for j in range(i, last))
        for i in range(last + 1)
    )
    return beginning + execution + ending


@pytest.mark.parametrize("seed", range(500, 560))
def test_the_latency_of_a_batch(seed: int) -> None:
    problem = roomy(random_problem(random.Random(seed)))
    for one in groupings(problem):
        assert one.seconds == pytest.approx(_written_out(problem, one.groups))


_LAYER = LayerProfile(1.0, 2.0, 100, 50, 10, boundary=1000, gradient=100)
_COST = CostModel((_LAYER,) * 4, (Device(1.0, 9**9),) * 3, Link(bandwidth=1000.0, latency=0.0))
_GROUPS = (Group((0, 1), range(2), (1, 1)), Group((2,), range(2, 4), (2,)))


def test_a_batch_by_hand() -> None:
    problem = Problem(_COST, frozenset(range(4)), rows=2, micro_batches=3)
    # Below: 2 s up, then 2 rows of 1000 bytes; above: 3 times (4 + 8) s; back: 2 rows of 100
    # bytes, 4 s down, and 100 bytes of gradients twice half around.
    assert latency(problem, _GROUPS) == pytest.approx((2 + 2) + 36 + (0.2 + 4 + 0.1))


def test_a_frozen_stage_has_nothing_to_send_back_or_to_sum() -> None:
    problem = Problem(_COST, frozenset(), rows=2, micro_batches=3)
    assert latency(problem, _GROUPS) == pytest.approx((2 + 2) + 3 * 4)
    assert all_reduce(problem, _GROUPS[0]) == 0.0


def test_gradients_that_are_narrowed_take_less_of_a_link() -> None:
    whole = Problem(_COST, frozenset(range(4)), rows=2, micro_batches=3)
    half = Problem(replace(_COST, crossing=0.5), frozenset(range(4)), rows=2, micro_batches=3)
    assert all_reduce(half, _GROUPS[0]) == pytest.approx(all_reduce(whole, _GROUPS[0]) / 2)


def test_rows_that_are_micro_batches_pass_one_by_one() -> None:
    profile = LayerProfile(1.0, 2.0, 100, 50, 10, 1000, forward_start=0.5)
    cost = CostModel((profile,), (Device(2.0, 9**9),), Link(1000.0, 0.0), rows=4)
    together = Problem(cost, frozenset({0}), rows=8, micro_batches=1)
    apart = Problem(cost, frozenset({0}), rows=8, micro_batches=1, together=False)
    assert together.seconds(0, range(1), 8) == pytest.approx((0.75, 2.0))
    assert apart.seconds(0, range(1), 8) == pytest.approx((4.0, 8.0))
    assert together.memory(0, range(1), 8, 1) == 100 + 150 + 20
    assert apart.memory(0, range(1), 8, 1) == 100 + 150 + 10
