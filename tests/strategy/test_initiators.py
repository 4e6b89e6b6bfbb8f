"""Whose turn it is, as the module draws it."""

from typing import Any

import pytest

from mpiedge.strategy.initiators import period, turns
from mpiedge.strategy.settings import StrategySettings


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "0120111"),
        ({"turn_batches": 2}, "0011211"),
        ({"turn": "epoch"}, "0011112"),
        ({"turn": "data"}, "1012101"),
    ],
)
def test_the_turns_of_an_epoch(changes: dict[str, Any], row: str) -> None:
    found = turns((2, 4, 1), StrategySettings(name="ring", **changes))
    assert "".join(map(str, found)) == row
    assert [found.count(client) for client in range(3)] == [2, 4, 1]


@pytest.mark.parametrize(
    ("row", "length"), [([0, 1, 0, 1], 2), ([0, 0, 0], 1), ([0, 1, 0], 3), ([2, 2, 1], 3)]
)
def test_a_row_repeats_itself_after_its_period(row: list[int], length: int) -> None:
    assert period(row) == length
    assert row[:length] * (len(row) // length) == row
