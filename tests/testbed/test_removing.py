"""Taking away what is left of a testbed, whatever that is."""

from dataclasses import replace
from pathlib import Path

import pytest

from mpiedge.testbed import removing
from mpiedge.testbed.standing import Standing, claim, myself
from tests.testbed.files import GONE, standing


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that would have been run."""
    found: list[tuple[str, ...]] = []

    def tried(command: tuple[str, ...]) -> tuple[int, str]:
        found.append(command)
        return 0, ""

    monkeypatch.setattr(removing.shell, "tried", tried)
    monkeypatch.setattr(removing.shell, "output", lambda _: "")
    return found


def made(folder: Path) -> Standing:
    """A testbed of plain folders."""
    whole = standing(folder)
    claim(whole)
    for device in whole.devices:
        for place in whole.group_of(device).folders:
            place.mkdir(parents=True)
    (whole.scratch / "box-0").mkdir(parents=True)
    return whole


def test_all_of_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, ...]]
) -> None:
    whole = made(tmp_path)
    namespaces = tmp_path / "netns"
    namespaces.mkdir()
    for name in (whole.names.switch, whole.names.namespace("far"), "somebody-else"):
        (namespaces / name).touch()
    monkeypatch.setattr(removing, "NAMESPACES", namespaces)
    removing.remove(whole)
    assert [command[-1] for command in ran] == [whole.names.switch, whole.names.namespace("far")]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["cpu", "memory", "netns"]
    assert [*(tmp_path / "cpu").iterdir(), *(tmp_path / "memory").iterdir()] == []
    assert not whole.scratch.exists()


def test_what_is_half_gone_goes_too(tmp_path: Path, ran: list[tuple[str, ...]]) -> None:
    whole = standing(tmp_path)
    removing.remove(whole)
    claim(whole)
    removing.remove(whole)
    removing.remove(whole)
    assert not whole.root.exists()
    assert ran == []


def test_the_file_of_another_one_stays(tmp_path: Path, ran: list[tuple[str, ...]]) -> None:
    other = standing(tmp_path)
    claim(other)
    removing.remove(replace(other, token="def456"))
    assert other.folder.exists()
    assert ran == []


def test_only_what_has_lost_its_command_is_left_over(tmp_path: Path) -> None:
    for cluster, owner in (("gone", GONE), ("mine", myself()), ("stays", None)):
        claim(standing(tmp_path, owner, cluster))
    assert [each.cluster for each in removing.leftover(tmp_path / "root")] == ["gone"]
