"""The segments in one rank's folder."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mpiedge.store.cache import stamp
from mpiedge.store.index import Index
from mpiedge.store.shelf import Shelf, paths
from tests.store.stored import DECODER, fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path)
    return tmp_path


def shelf(folder: Path) -> tuple[Shelf, Index]:
    made, index = Shelf(folder, stamp(DECODER, "key"), DECODER.row_bytes()), Index()
    made.fill(index)
    return made, index


def names(folder: Path) -> list[str]:
    return [path.name for path in paths(folder)]


def test_the_stamp_says_what_the_cache_is_of() -> None:
    assert json.loads(stamp(DECODER, "key")) == {"key": "key", **asdict(DECODER)}


def test_only_segments_are_taken_up(folder: Path) -> None:
    for name in ("notes.txt", "000009.h5.bak", "1.h5", "000000.H5"):
        (folder / name).write_text("not ours")
    made, index = shelf(folder)
    assert names(folder) == ["000000.h5", "000001.h5", "000002.h5"]
    assert made.lost == 0
    assert len(index.complete(range(4))) == 12
    assert (folder / "notes.txt").exists()


def test_half_done_files_and_broken_ones_are_removed(folder: Path) -> None:
    (folder / "000007.part").write_bytes(b"half")
    (folder / "000001.h5").write_bytes(b"broken")
    made, index = shelf(folder)
    assert made.lost == 1
    assert sorted(path.name for path in folder.iterdir()) == ["000000.h5", "000002.h5", "lock"]
    assert index.complete(range(4)) == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_new_segment_has_a_name_of_its_own(folder: Path) -> None:
    (folder / "000002.h5").write_bytes(b"broken")
    made, _ = shelf(folder)
    for name in ("000003.h5", "000004.h5"):
        made.start().seal()
        assert names(folder)[-1] == name


def test_dropping_tells_which_segments_are_nearly_empty(folder: Path) -> None:
    made, index = shelf(folder)
    assert made.drop(index.remove([0, 4])) == []
    thin = made.drop(index.remove([1, 2]))
    assert [segment.path.name for segment in thin] == ["000000.h5"]
    assert [entry.record.label.example for entry in made.kept(thin[0])] == [3]
    assert made.drop(index.remove([3])) == []
    assert names(folder) == ["000001.h5", "000002.h5"]


def test_what_was_dropped_stays_dropped(folder: Path) -> None:
    made, index = shelf(folder)
    made.drop(index.remove([4, 9]))
    _, again = shelf(folder)
    assert again.complete(range(4)) == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]
