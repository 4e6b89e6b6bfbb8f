"""Epochs from a disk: hidden behind computing, or not."""

import pytest

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.forecast import Epoch, Forecast
from mpiedge.strategy.reading import behind_disks, replayed
from mpiedge.strategy.strategy import Phase, Source

PLAN = PartitionPlan(((Stage(0, range(3), frozenset({1})),),), (0,))
RECORD = Phase(PLAN, 4, source=Source.RECORD)
REPLAY = Phase(PLAN, 6, source=Source.REPLAY)


def forecast(*seconds: float) -> Forecast:
    return Forecast(tuple(Epoch(each, {}, {}) for each in seconds), {})


def times(found: Forecast) -> list[float]:
    return [epoch.seconds for epoch in found.epochs]


def test_which_epochs_are_read_back() -> None:
    assert replayed([RECORD, REPLAY], 5, 2) == [0.2, 1.0]
    assert replayed([RECORD], 2, 2) == [0.0, 0.0]


def test_a_fast_disk_is_hidden() -> None:
    before = forecast(10.0, 4.0)
    assert times(behind_disks(before, [RECORD, REPLAY], 5, {0: 1.0, 1: 4.0})) == [10.0, 4.0]


def test_the_slowest_disk_is_waited_for() -> None:
    found = behind_disks(forecast(10.0, 4.0), [RECORD, REPLAY], 5, {0: 1.0, 1: 20.0})
    assert times(found) == pytest.approx([0.8 * 10 + 0.2 * 20, 20.0])


def test_disks_that_nobody_measured_take_no_time() -> None:
    before = forecast(10.0, 4.0)
    assert behind_disks(before, [RECORD, REPLAY], 5, {}) == before
