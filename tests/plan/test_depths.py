"""The table of seconds by device and depth: what is repaired, and what is refused."""

import warnings

import numpy as np
import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.depths import NotMonotone, depth_table, depths_below
from tests.plan.tables import rows


def test_a_rising_table_is_taken_as_it_is() -> None:
    assert depth_table([[1, 2, 2], [0, 3, 4]]).tolist() == [[1, 2, 2], [0, 3, 4]]


def test_blocks_without_memory_take_for_ever() -> None:
    table = depth_table([[1, 2], [3, 4]], [[True, False], [True, True]])
    assert table.tolist() == [[1, np.inf], [3, 4]]


def test_a_falling_row_becomes_its_running_maximum_with_a_warning() -> None:
    with pytest.warns(NotMonotone, match="device 1 takes 5 s for block 0 and 3 s for the deeper"):
        table = depth_table([[1, 2, 3], [5, 3, 6]])
    assert table.tolist() == [[1, 2, 3], [5, 5, 6]]


def test_a_block_below_one_that_does_not_fit_does_not_fit_either() -> None:
    with pytest.warns(NotMonotone, match=r"device 0 .* inf s for block 1 .* 1 such falls"):
        table = depth_table([[1, 2, 3]], [[True, False, True]])
    assert table.tolist() == [[1, np.inf, np.inf]]


def test_the_given_table_is_not_changed() -> None:
    given = np.array([[2.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotMonotone)
        depth_table(given, [[True, False]])
        depth_table(given)
    assert given.tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_negative_and_undefined_seconds_are_refused(value: float) -> None:
    with pytest.raises(BadInput, match=f"device 1 for block 0 is {value} s and must be 0 or more"):
        depth_table([[1.0, 2.0], [value, 3.0]])


@pytest.mark.parametrize("latency", [[1.0, 2.0], [[]], []])
def test_what_is_no_table_is_refused(latency: list[float]) -> None:
    with pytest.raises(BadInput, match=r"latency has shape .* \[devices, blocks\]"):
        depth_table(latency)


def test_tables_of_unequal_shape_are_refused() -> None:
    with pytest.raises(BadInput, match=r"feasible has shape \(1, 1\) and latency \(1, 2\)"):
        depth_table([[1, 2]], [[True]])


@pytest.mark.parametrize("seed", range(50))
def test_depths_count_the_faster_entries_of_each_row(seed: int) -> None:
    chance = np.random.default_rng(seed)
    devices, blocks = chance.integers(1, 9, 2).tolist()
    seconds = np.ascontiguousarray(rows(chance, devices, blocks))
    limit = float(chance.choice(seconds.ravel()))
    counts = (seconds < limit).sum(axis=1)
    low, high = chance.integers(0, counts + 1), chance.integers(counts, blocks + 1)
    assert (depths_below(seconds, limit, (low, high)) == counts).all()
