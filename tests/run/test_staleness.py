"""Which profiles still hold."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import alone
from mpiedge.run.opening import open_run
from mpiedge.run.staleness import stale, why_measure
from mpiedge.version import VERSION
from tests.runs import settings


def day(ago: int) -> str:
    return (date.today() - timedelta(days=ago)).isoformat()


ABOUT = {"name": "bert", "layers": 5, "tokens": 80}
GOOD: dict[str, Any] = {
    "made": {"version": VERSION, "day": day(3)},
    "model": ABOUT,
    "device": [{"host": "a"}, {"host": "b"}],
}


def made(**changes: object) -> dict[str, Any]:
    return {**GOOD, "made": {**GOOD["made"], **changes}}


def test_a_young_profile_of_the_same_holds() -> None:
    assert stale(GOOD, ABOUT, ["a", "b"], 30) == ""


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, f"it is of version None, and this is {VERSION}"),
        (made(version="0.0"), f"it is of version 0.0, and this is {VERSION}"),
        (made(day=day(30)), "it is 30 days old"),
        (made(day=day(-2)), "it is -2 days old"),
        (made(day="yesterday"), "it is 30 days old"),
        (made(day=20261123), "it is 30 days old"),
        (
            {**GOOD, "model": {**ABOUT, "tokens": 90}},
            "it is of a model with tokens 90, and the run has 80",
        ),
        ({**GOOD, "device": [{"host": "a"}]}, "it is of hosts a, and the run has a, b"),
        ({**GOOD, "device": [{"host": "b"}, {}]}, "it is of hosts b, None, and the run has a, b"),
    ],
)
def test_why_it_does_not(values: dict[str, Any], why: str) -> None:
    assert stale(values, ABOUT, ["a", "b"], 30) == why


def test_no_days_is_never() -> None:
    assert stale(made(day=day(0)), ABOUT, ["a", "b"], 0) == "it is 0 days old"


def test_a_file_that_is_none(bert: Path, requests: Path, tmp_path: Path) -> None:
    opened, path = open_run(settings(bert, requests), alone(5.0)), tmp_path / "cluster.toml"
    assert why_measure(opened, [(2, 4)], path, 30) == "there is none"
    path.write_text("no profile", encoding="utf-8")
    assert why_measure(opened, [(2, 4)], path, 30) == "it cannot be read"
