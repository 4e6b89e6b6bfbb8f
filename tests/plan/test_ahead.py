"""A stage of its own for layers that train nothing."""

from dataclasses import replace

import pytest

from mpiedge.plan.ahead import ahead, moving
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.grouping import Problem, latency
from mpiedge.plan.hybrid import groupings

LAYER = LayerProfile(forward=1.0, backward=0.5, weights=100, tuned=1, activation=10, boundary=10)


def problem(speeds: tuple[float, ...] = (1.0, 2.0, 3.0), memory: int = 10**6) -> Problem:
    """Six layers of which the first two train nothing."""
    devices = tuple(Device(speed, memory) for speed in speeds)
    ways = [
        [Link(100.0 * (1 + a + b), 0.0) for b in range(len(speeds))] for a in range(len(speeds))
    ]
    cost = CostModel((LAYER,) * 6, devices, Link(100.0, 0.0), links=tuple(map(tuple, ways)))
    return Problem(cost, frozenset(range(2, 6)), rows=4, micro_batches=1, together=False)


def test_any_devices_are_tried_as_those_ahead() -> None:
    given = problem()
    found = ahead(given)
    assert {one.groups[0].ranks for one in found} == {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)}
    assert {one.groups[0].shares for one in found if one.groups[0].ranks == (0, 2)} == {(1, 3)}
    for one in found:
        assert one.groups[0].layers == range(2)
        assert [layer for group in one.groups for layer in group.layers] == list(range(6))
        assert sorted(rank for group in one.groups for rank in group.ranks) == [0, 1, 2]
        assert one.seconds == pytest.approx(latency(given, one.groups))


def test_the_others_are_grouped_as_if_alone() -> None:
    given = problem()
    behind = [one for one in ahead(given) if one.groups[0].ranks == (0,)]
    cost = given.cost
    alone = replace(
        cost,
        layers=cost.layers[2:],
        devices=cost.devices[1:],
        links=tuple(row[1:] for row in cost.links[1:]),
    )
    rest = groupings(replace(given, cost=alone, trainable=frozenset(range(4))))
    assert len(behind) == len(rest)
    for one, other in zip(behind, rest, strict=True):
        assert [g.shares for g in one.groups[1:]] == [g.shares for g in other.groups]
        assert [[r - 1 for r in g.ranks] for g in one.groups[1:]] == [
            list(g.ranks) for g in other.groups
        ]


def test_what_moves_is_all_but_the_stage_ahead() -> None:
    given = problem()
    for one in ahead(given):
        assert moving(given, one) == one.groups[1:]
    whole = groupings(problem((1.0,)))[0]
    assert moving(problem((1.0,)), whole) == whole.groups


def test_a_device_without_room_is_not_ahead() -> None:
    given = problem()
    small = replace(given.cost.devices[0], memory=150)
    short = replace(given, cost=replace(given.cost, devices=(small, *given.cost.devices[1:])))
    assert {one.groups[0].ranks for one in ahead(short)} <= {(1,), (2,)}
    assert ahead(problem(memory=150)) == ()


def test_nothing_is_ahead_where_all_is_trained_or_given_or_devices_are_many() -> None:
    assert ahead(replace(problem(), trainable=frozenset(range(6)))) == ()
    assert ahead(replace(problem(), groups=((0, 1), (2,)))) == ()
    assert ahead(replace(problem(), parts=(range(3), range(3, 6)))) == ()
    assert ahead(problem((1.0,))) == ()
    assert ahead(problem((1.0,) * 5)) == ()
