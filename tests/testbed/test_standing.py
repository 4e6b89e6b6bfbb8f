"""Descriptions of testbeds in files."""

from dataclasses import replace
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed import standing as module
from mpiedge.testbed.standing import Owner, Standing, claim, every, load, myself, with_device
from tests.testbed.files import BOX, GONE, standing


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = standing(tmp_path, myself())
    claim(made)
    assert load(made.folder) == made
    assert every(made.root) == [made]


def test_the_places_of_a_testbed(tmp_path: Path) -> None:
    made = standing(tmp_path)
    assert made.group_of(BOX).memory == tmp_path / "memory" / "mpiedge-abc123" / "box-0"
    assert made.enter(BOX) == str(tmp_path / "root" / "pair" / "enter-box-0")
    assert made.scratch.name == "mpiedge-testbed-abc123"


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    first = standing(tmp_path)
    claim(first)
    with pytest.raises(FileExistsError):
        claim(replace(first, token="def456"))
    assert every(first.root) == [first]
    assert sorted(path.name for path in first.root.iterdir()) == ["pair"]


def test_a_testbed_may_be_left_standing(tmp_path: Path) -> None:
    made = standing(tmp_path, myself())
    claim(made)
    assert module.abandoned(made).owner is None
    assert load(made.folder) == replace(made, owner=None)


def test_an_owner_is_the_same_process_and_not_one_with_its_number() -> None:
    me = myself()
    assert me.lives
    assert not Owner(me.pid, me.started - 1).lives
    assert not GONE.lives


def test_nothing_stands(tmp_path: Path) -> None:
    assert every(tmp_path / "none") == []
    assert load(tmp_path) is None
    with pytest.raises(BadInput, match="no testbed stands; start one with 'mpiedge testbed up"):
        with_device("box-0", None, tmp_path)


def both(folder: Path) -> tuple[Standing, Standing]:
    one, other = standing(folder), standing(folder, cluster="other")
    claim(one)
    other = replace(other, token="def456", devices=(BOX,))
    claim(other)
    return one, other


def test_a_device_is_found_by_its_name(tmp_path: Path) -> None:
    one, other = both(tmp_path)
    assert with_device("far", None, one.root) == (one, one.devices[1])
    assert with_device("box-0", "other", one.root) == (other, BOX)


@pytest.mark.parametrize(
    ("name", "cluster", "complaint"),
    [
        ("box-0", None, "other and pair both have a device box-0; say which with --cluster"),
        ("bix", None, "no device is called 'bix'; there are box-0, box-0, far"),
        ("far", "other", "no device is called 'far'; there are box-0"),
        ("far", "third", "no testbed of the cluster third stands"),
    ],
)
def test_a_device_that_is_not_there(
    tmp_path: Path, name: str, cluster: str | None, complaint: str
) -> None:
    one, _ = both(tmp_path)
    with pytest.raises(BadInput, match=complaint):
        with_device(name, cluster, one.root)
