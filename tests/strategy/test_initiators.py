"""Whose turn it is, as the module draws it."""

from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.strategy.initiators import client_count, home, period, turns
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


def test_clients_are_spread_over_the_ranks() -> None:
    assert [home(client, 3) for client in range(5)] == [0, 1, 2, 0, 1]
    assert {home(client, 1) for client in range(5)} == {0}


@pytest.mark.parametrize(
    ("row", "length"), [([0, 1, 0, 1], 2), ([0, 0, 0], 1), ([0, 1, 0], 3), ([2, 2, 1], 3)]
)
def test_a_row_repeats_itself_after_its_period(row: list[int], length: int) -> None:
    assert period(row) == length
    assert row[:length] * (len(row) // length) == row


def test_clients_are_as_many_as_asked_for_or_named_or_started() -> None:
    assert client_count(StrategySettings(clients=5), 3, 0) == 5
    assert client_count(StrategySettings(), 3, 2) == 2
    assert client_count(StrategySettings(), 3, 0) == 3
    with pytest.raises(BadInput, match="strategy.clients is 5, but task.client_files names 2"):
        client_count(StrategySettings(clients=5), 3, 2)
