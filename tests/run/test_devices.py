"""How devices fare, in numbers and in words."""

import pytest

from mpiedge.comm.ledger import Ledger
from mpiedge.comm.signs import COMPUTING
from mpiedge.comm.telemetry import Reading, Telemetry
from mpiedge.run.devices import Device, Devices


@pytest.fixture
def told() -> dict[int, Reading]:
    return {}


@pytest.fixture
def devices(told: dict[int, Reading]) -> Devices:
    return Devices(Telemetry(0, Ledger(), [COMPUTING] * 2, told.get), ["here", "there"])


def test_nothing_is_known_before_a_rank_has_spoken(devices: Devices) -> None:
    _, other = devices.look()
    assert other == Device(1, "there", (), "computes", None, None, None, None)
    assert other.cells() == ("1", "there", "none", "computes", "", "", "")
    assert other.values()["layers"] == []


def test_rates_are_those_between_two_readings(devices: Devices, told: dict[int, Reading]) -> None:
    devices.hold({1: (0, 4, 5, 6, 9)})
    told[1] = Reading(1_000_000, 10, 2**20, 0, 0)
    assert devices.look()[1].examples_per_second is None
    told[1] = Reading(3_000_000, 50, 2 * 2**20, 2**21, 2**20)
    for _ in range(3):  # however often one looks
        found = devices.look()[1]
        assert (found.examples_per_second, found.memory_bytes) == (20.0, 2**21)
        assert (found.sent_per_second, found.received_per_second) == (2**20, 2**19)
    assert found.cells()[2:] == (
        "0,4..6,9",
        "computes",
        "20.0",
        "2 MiB",
        "1.00 0.50",
    )
    assert found.values()["examples_per_second"] == 20.0


def test_readings_that_are_close_are_no_rate(devices: Devices, told: dict[int, Reading]) -> None:
    for at, examples in ((0, 0), (1_000_000, 10), (1_000_100, 20)):
        told[1] = Reading(at, examples, 1, 0, 0)
        found = devices.look()[1]
    assert found.examples_per_second == 10.0


@pytest.mark.parametrize(
    ("layers", "words"),
    [((), "none"), ((3,), "3"), ((0, 1, 2), "0..2"), ((0, 7), "0,7")],
)
def test_layers_in_words(layers: tuple[int, ...], words: str) -> None:
    assert Device(0, "", layers, "", None, None, None, None).stage() == words
