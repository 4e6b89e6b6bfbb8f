"""The depths of a run, one after the other."""

from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.unfreezing import spans


def found(batches: int, **changes: Any) -> list[tuple[int, int, int]]:
    return [tuple(span) for span in spans(StrategySettings(**changes), 6, batches)]


def test_depth_grows_by_a_step_every_interval() -> None:
    assert found(10, interval=4) == [(1, 0, 4), (2, 4, 8), (3, 8, 10)]
    assert found(20, interval=4, depth=2, step=3) == [(2, 0, 4), (5, 4, 8), (6, 8, 20)]


@pytest.mark.parametrize("batches", [1, 7, 30])
@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("interval", [0, 1, 3, 10])
def test_the_rule_holds_in_every_batch(batches: int, depth: int, step: int, interval: int) -> None:
    rows = found(batches, depth=depth, step=step, interval=interval)
    depths = [d for d, start, stop in rows for _ in range(start, stop)]
    times = [t // interval if interval else 0 for t in range(batches)]
    assert depths == [min(6, depth + step * count) for count in times]


def test_a_list_of_depths_is_followed_and_the_last_one_stays() -> None:
    rows = found(30, depths=[1, 1, 2, 5], interval=5)
    assert rows == [(1, 0, 10), (2, 10, 15), (5, 15, 30)]
    assert found(7, depths=[1, 1, 2, 5], interval=5) == [(1, 0, 7)]
    assert found(7, depths=[3], interval=0) == [(3, 0, 7)]


def test_before_a_plateau_nothing_is_known_of_the_ends() -> None:
    rows = found(30, unfreeze="plateau", depth=2, step=2)
    assert rows == [(2, 0, 30), (4, 0, 30), (6, 0, 30)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 7}, "depth 7 unfreezes more blocks than the model's 6"),
        ({"depths": [2, 7]}, "unfreezes 7 blocks and the model has 6"),
        ({"depths": [0, 2]}, "has to begin at 1 or more"),
        ({"depths": [3, 2]}, "never to fall"),
        ({"depths": [2, 3], "interval": 0}, "several depths, but strategy.interval is 0"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        found(10, **changes)
