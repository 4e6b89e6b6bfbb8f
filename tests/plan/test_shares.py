"""Integer shares against every way to share out."""

import random
from itertools import product

import numpy as np
import pytest

from mpiedge.plan.shares import divide, slowest


@pytest.mark.parametrize("seed", range(60))
def test_the_slowest_device_is_as_fast_as_can_be(seed: int) -> None:
    chance = random.Random(seed)
    devices, rows = chance.randint(1, 4), chance.randint(1, 8)
    start = np.array([chance.choice([0.0, 0.5, 3.0]) for _ in range(5)])
    each = np.array([chance.choice([0.0, 0.1, 1.0]) for _ in range(5)])
    speeds = np.array([chance.choice([0.5, 1.0, 1.0, 2.7]) for _ in range(devices)])
    most = np.array([[chance.choice([0, 1, 3, 9]) for _ in range(devices)] for _ in range(5)])
    shares = divide(rows, start, each, speeds, most)
    for i, seconds in enumerate(slowest(shares, start, each, speeds)):
        every = [
            max((start[i] + b * each[i]) / v for b, v in zip(split, speeds, strict=True))
            for split in product(*(range(1, limit + 1) for limit in most[i]))
            if sum(split) == rows
        ]
        assert seconds == pytest.approx(min(every, default=np.inf))
        assert (shares[i].sum() == rows and (shares[i] <= most[i]).all()) or not every


def test_many_rows_are_shared_in_proportion() -> None:
    none, plenty = np.zeros(1), np.full((1, 3), 10**9)
    shares = divide(1000, none, np.ones(1), np.array([1.0, 2.0, 2.0]), plenty)
    assert shares.tolist() == [[200, 400, 400]]


def test_a_device_without_room_leaves_its_rows_to_others() -> None:
    shares = divide(9, np.zeros(1), np.ones(1), np.array([1.0, 1.0, 1.0]), np.array([[9, 1, 9]]))
    assert sorted(shares[0].tolist()) == [1, 4, 4]
    assert shares[0][1] == 1


def test_fewer_rows_than_devices_cannot_be_shared_out() -> None:
    shares = divide(1, np.zeros(1), np.ones(1), np.ones(2), np.array([[5, 5]]))
    assert shares.tolist() == [[0, 0]]
    assert slowest(shares, np.zeros(1), np.ones(1), np.ones(2)).tolist() == [np.inf]
