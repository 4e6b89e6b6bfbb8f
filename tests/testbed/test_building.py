"""Building a testbed, with plain folders for groups and no commands run."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed import building
from mpiedge.testbed.building import build, described, take
from mpiedge.testbed.cluster import read
from mpiedge.testbed.groups import Trees
from mpiedge.testbed.network import Wiring
from mpiedge.testbed.standing import Standing, claim, load, myself
from tests.testbed.files import FIT, GONE, PAIR, standing, written


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would have been run."""
    found: list[str] = []
    monkeypatch.setattr(
        building.shell, "run", lambda commands: found.extend(" ".join(each) for each in commands)
    )
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standing:
    """A testbed that has its name and nothing else."""
    monkeypatch.setattr("mpiedge.testbed.removing.ROUNDS", 1)  # these groups are never empty
    found = standing(tmp_path, myself())
    for folder in found.trees.folders:
        folder.mkdir()
    claim(found)
    return found


def test_a_description_says_who_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building.machine, "look", lambda *, trial: FIT)
    found = described(read(written(tmp_path)), tmp_path)
    assert [device.name for device in found.devices] == ["box-0", "box-1"]
    assert (found.wiring, found.owner) == (Wiring.SHAPED, myself())
    delayed = read(written(tmp_path, PAIR + "delay = 1\n"))
    assert described(delayed, tmp_path).wiring is Wiring.SWITCHED
    monkeypatch.setattr(building.machine, "look", lambda *, trial: replace(FIT, root=False))
    with pytest.raises(BadInput, match="you are not root"):
        described(delayed, tmp_path)


def test_all_parts_are_made(place: Standing, ran: list[str]) -> None:
    build(place)
    box, far = place.devices
    for device in (box, far):
        assert os.access(place.enter(device), os.X_OK)
        assert (place.scratch / device.name).is_dir()
    limit = place.group_of(far).memory / "memory.limit_in_bytes"
    assert limit.read_text() == str(far.memory)
    assert "10.77.0.11 far" in (place.folder / "hosts").read_text()
    made = [line for line in ran if "netns add" in line]
    assert len(made) == 3
    assert ran.index(made[-1]) < next(i for i, line in enumerate(ran) if "veth" in line)
    assert any("tbf" in line for line in ran)
    building.remove(place)


def test_groups_that_cannot_be_written_are_said(place: Standing, ran: list[str]) -> None:
    cpu = place.trees.cpu
    broken = replace(place, trees=Trees(1, cpu / "none", place.trees.memory))
    with pytest.raises(BadInput, match=f"the control group {cpu}/none/.* cannot be written: No"):
        build(broken)
    building.remove(place)
    assert ran == []


def test_swap_is_kept_out_where_there_is_any(place: Standing, ran: list[str]) -> None:
    at = place.group_of(place.devices[0])
    build(place)
    assert not (at.memory / "memory.memsw.limit_in_bytes").exists()
    building.remove(place)
    assert ran


def test_a_name_in_use_says_by_whom(tmp_path: Path) -> None:
    first = standing(tmp_path, myself())
    take(first)
    with pytest.raises(BadInput, match=f"command with the number {os.getpid()}; take it down with"):
        take(replace(first, token="def456"))


def test_a_leftover_gives_its_name_back(tmp_path: Path) -> None:
    claim(standing(tmp_path, GONE))
    mine = replace(standing(tmp_path, myself()), token="def456")
    take(mine)
    assert load(mine.folder) == mine


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    nowhere = tmp_path / "none" / "root"
    with pytest.raises(BadInput, match="none/root cannot be written: No such file"):
        take(replace(standing(tmp_path), root=nowhere))


def test_a_switch_that_does_not_start_is_said(
    place: Standing, monkeypatch: pytest.MonkeyPatch, ran: list[str]
) -> None:
    class Ended:
        def __init__(self, *_: object, **__: object) -> None:
            (place.folder / "switch.log").write_text("first\nno such device\n")

        def poll(self) -> int:
            return 1

    monkeypatch.setattr(building.subprocess, "Popen", Ended)
    with pytest.raises(BadInput, match="the switch did not start: no such device"):
        build(replace(place, wiring=Wiring.SWITCHED))
    building.remove(place)
    assert not any("veth" in line for line in ran)
