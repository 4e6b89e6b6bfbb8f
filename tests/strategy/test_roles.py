"""Who has data, with and without a server."""

from dataclasses import replace

import pytest

from mpiedge.errors import BadInput
from mpiedge.strategy.roles import client_count, roles
from mpiedge.strategy.settings import StrategySettings

RING, SPLIT = StrategySettings(name="ring"), StrategySettings(name="split")
BOTH = StrategySettings(name="split", server_has_data=True)


@pytest.mark.parametrize(
    ("settings", "ranks", "devices"),
    [
        (RING, 3, (0, 1, 2)),
        (SPLIT, 3, (1, 2)),
        (BOTH, 3, (0, 1, 2)),
        (SPLIT, 1, (0,)),
        (replace(SPLIT, servers=2), 4, (2, 3)),
        (replace(BOTH, servers=2), 4, (0, 2, 3)),
        (replace(SPLIT, servers=2), 2, (0,)),
    ],
)
def test_who_has_data(settings: StrategySettings, ranks: int, devices: tuple[int, ...]) -> None:
    assert roles(settings, ranks).devices == devices


def test_clients_are_dealt_to_the_devices() -> None:
    assert [roles(RING, 3).home(client) for client in range(5)] == [0, 1, 2, 0, 1]
    assert [roles(SPLIT, 3).home(client) for client in range(5)] == [1, 2, 1, 2, 1]
    assert {roles(SPLIT, 1).home(client) for client in range(5)} == {0}
    assert roles(SPLIT, 3).clients_on(1, 5) == (0, 2, 4)
    assert roles(SPLIT, 3).clients_on(0, 5) == ()


def test_clients_are_as_many_as_asked_for_or_named_or_devices() -> None:
    assert client_count(StrategySettings(name="ring", clients=5), 3, 0) == 5
    assert client_count(RING, 3, 2) == 2
    assert client_count(RING, 3, 0) == 3
    assert client_count(SPLIT, 3, 0) == 2
    with pytest.raises(BadInput, match="strategy.clients is 5, but task.client_files names 2"):
        client_count(StrategySettings(clients=5), 3, 2)
