"""Shares of one group against those of ``divide``, and against every way to share out."""

import random
from math import inf

import numpy as np
import pytest

from mpiedge.plan.pace import even_shares, pace
from mpiedge.plan.shares import divide
from tests.plan.problems import splits


@pytest.mark.parametrize("seed", range(150))
def test_the_same_as_for_many_runs_at_once(seed: int) -> None:
    chance = random.Random(seed)
    speeds = [chance.choice([0.25, 1.0, 1.5, 3.0, 7.1]) for _ in range(chance.randint(1, 12))]
    rows = chance.randint(len(speeds), 60)
    most = np.full((1, len(speeds)), rows)
    (expected,) = divide(rows, np.zeros(1), np.ones(1), np.array(speeds), most)
    shares = even_shares(speeds, rows)
    slowest = max(share / speed for share, speed in zip(expected, speeds, strict=True))
    assert pace(speeds, rows) == pytest.approx(slowest)
    assert sum(shares) == rows
    assert min(shares) >= 1


@pytest.mark.parametrize("seed", range(60))
def test_no_way_to_share_out_is_faster(seed: int) -> None:
    chance = random.Random(seed)
    speeds = [chance.uniform(0.1, 3.0) for _ in range(chance.randint(1, 4))]
    rows = chance.randint(len(speeds), 9)
    every = (
        max(share / speed for share, speed in zip(shares, speeds, strict=True))
        for shares in splits(rows, len(speeds))
    )
    assert pace(speeds, rows) == pytest.approx(min(every))


def test_among_equal_devices_the_first_have_a_row_more() -> None:
    assert even_shares([1.0, 1.0, 1.0], 5) == (2, 2, 1)


def test_a_device_too_slow_for_a_row_has_one_all_the_same() -> None:
    assert even_shares([0.001, 1.0, 1.0], 7) == (1, 3, 3)


def test_fewer_rows_than_devices_are_not_enough() -> None:
    assert pace([1.0, 1.0], 1) == inf
