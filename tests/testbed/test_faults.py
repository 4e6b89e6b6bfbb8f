"""Faults: which can happen, what they do, and their log."""

import json
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed import faults
from mpiedge.testbed.faults import Fault, Kind, checked, happen, said
from mpiedge.testbed.standing import Standing, claim
from tests.testbed.files import BOX, standing


@pytest.fixture
def place(tmp_path: Path) -> Standing:
    """A testbed whose groups are plain files."""
    made = standing(tmp_path)
    claim(made)
    at = made.group_of(BOX)
    for folder in at.folders:
        folder.mkdir(parents=True)
    return made


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would have been run."""
    found: list[str] = []
    monkeypatch.setattr(
        faults.shell, "run", lambda commands: found.extend(" ".join(each) for each in commands)
    )
    return found


def log(place: Standing) -> list[tuple[str, str]]:
    lines = place.events.read_text().splitlines()
    return [(event["fault"], event["device"]) for event in map(json.loads, lines)]


def quota(place: Standing) -> str:
    return (place.group_of(BOX).cpu / "cpu.cfs_quota_us").read_text()


def test_a_cable_is_pulled_and_put_back(place: Standing, ran: list[str]) -> None:
    happen(place, BOX, Fault(Kind.CUT, seconds=0.01))
    assert [line.split()[-1] for line in ran] == ["down", "up"]
    assert log(place) == [("cut", "box-0"), ("mend", "box-0")]


def test_without_a_time_a_fault_stays(place: Standing, ran: list[str]) -> None:
    happen(place, BOX, Fault(Kind.CUT))
    assert [line.split()[-1] for line in ran] == ["down"]
    assert (place.folder / "cut-box-0").exists()
    happen(place, BOX, Fault(Kind.MEND))
    assert not (place.folder / "cut-box-0").exists()
    assert ran[-1].endswith("up")
    assert log(place) == [("cut", "box-0"), ("mend", "box-0")]


def test_a_slow_device_has_less_of_the_processor(place: Standing, ran: list[str]) -> None:
    happen(place, BOX, Fault(Kind.SLOW, factor=5.0))
    assert quota(place) == "2000"
    happen(place, BOX, Fault(Kind.MEND))
    assert quota(place) == "10000"
    assert ran[-1].endswith("up")


def test_a_device_without_power_is_unplugged_before_it_dies(
    place: Standing, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [[11, 12], []]
    monkeypatch.setattr(faults.groups, "processes", lambda _: runs.pop(0))
    monkeypatch.setattr(faults, "kill_all", lambda pids: ran.append(f"kill {pids}"))
    happen(place, BOX, Fault(Kind.KILL))
    assert ran[0].endswith("down")
    assert ran[1:] == ["kill [11, 12]"]
    dead = place.folder / "dead-box-0"
    assert dead.exists()
    happen(place, BOX, Fault(Kind.MEND))
    assert not dead.exists()


def test_an_interrupted_fault_is_mended(
    place: Standing, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(faults.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        happen(place, BOX, Fault(Kind.CUT, seconds=100.0))
    assert ran[-1].endswith("up")


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (Fault(Kind.CUT, seconds=0.0), "--for 0 has to be above 0 seconds"),
        (Fault(Kind.MEND, seconds=1.0), "'mend' does it now"),
        (Fault(Kind.SLOW), "'slow' needs one above 1.*slow was given 1"),
        (Fault(Kind.CUT, factor=2.0), "no other fault takes it; cut was given 2"),
        (Fault(Kind.SLOW, factor=0.5), "would leave box-0 1.000 of a core; it has 0.500"),
        (Fault(Kind.SLOW, factor=100.0), "would leave box-0 0.005 of a core"),
    ],
)
def test_faults_that_cannot_be(fault: Fault, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        checked(fault, BOX)


def test_faults_that_can_be() -> None:
    for kind in Kind:
        fault = Fault(kind, factor=4.0 if kind is Kind.SLOW else 1.0)
        assert checked(fault, BOX) is fault


def test_the_log_says_when() -> None:
    event = {"time": 1.5, "device": "box-0", "fault": "slow", "seconds": 3.0, "factor": 4.0}
    assert said(event) == ("1970-01-01T00:00:01.500+00:00 fault on box-0: slow 4 times for 3 s")
