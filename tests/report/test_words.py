"""Numbers and kinds of message in words."""

import pytest

from mpiedge.comm.tag import Kind
from mpiedge.report.words import duration, meaning, printed, size, spans


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**30, "5 GiB"), (2**52, "4.1e+03 TiB")],
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.1234, "0.123 s"), (119, "119 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_neighbours_stand_together() -> None:
    assert spans([0, 1, 2, 5, 7, 8]) == "0..2, 5, 7..8"
    assert spans([]) == "none"


def test_every_kind_of_message_has_its_words() -> None:
    for kind in Kind:
        assert meaning(kind.name.lower()).what != kind.name.lower()
    assert meaning("new").tells == "not known to this version"


def test_figures_hold_ascii() -> None:
    assert printed("é漢a") == "??a"
