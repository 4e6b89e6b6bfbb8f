"""A segment is written beside its place and put there whole."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mpiedge.store.checksum import checksum
from mpiedge.store.image import NotWhole
from mpiedge.store.record import Label
from mpiedge.store.segment import SegmentWriter, open_segment

ROW = 16  # bytes


def label(example: int, rows: int) -> Label:
    return Label(example, 0, 1, rows, 0)


def write(path: Path, sizes: list[int]) -> SegmentWriter:
    """A segment with records of so many rows, each full of its number."""
    writer = SegmentWriter(path, "stamp", ROW)
    for example, rows in enumerate(sizes):
        room = writer.room(rows)
        assert room.shape == (rows, ROW)
        room[:] = example % 256
        writer.commit(label(example, rows), room)
    return writer


def test_nothing_is_there_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "000000.h5"
    writer = write(path, [3, 5])
    assert [one.name for one in tmp_path.iterdir()] == ["000000.part"]
    writer.seal()
    assert [one.name for one in tmp_path.iterdir()] == ["000000.h5"]


def test_an_abandoned_segment_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "000000.h5", [3, 5]).abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sizes", [[], [0], [1], [4, 0, 9], [300_000, 300_000, 7], [900_000, 1]])
def test_records_lie_where_the_table_says(sizes: list[int], tmp_path: Path) -> None:
    path = tmp_path / "000000.h5"
    sealed = write(path, sizes).seal()
    opened = open_segment(path)
    assert opened.stamp == "stamp"
    assert (opened.records, opened.starts) == (sealed.records, sealed.starts)
    content = path.read_bytes()
    for example, (rows, record) in enumerate(zip(sizes, opened.records, strict=True)):
        assert record.label == label(example, rows)
        start = opened.position(record) if rows else 0
        assert content[start : start + record.length] == bytes([example]) * (rows * ROW)
        assert record.check == checksum(record.label, np.full((rows, ROW), example, dtype=np.uint8))


def test_anybody_can_read_it_with_hdf5(tmp_path: Path) -> None:
    write(tmp_path / "000000.h5", [3, 5]).seal()
    with h5py.File(tmp_path / "000000.h5", "r") as file:
        table = file["records"][()]
        assert table["source"].tolist() == [3, 5]
        last = table[1]
        data = file[str(last["dataset"])][last["offset"] : last["offset"] + last["length"]]
        assert data.tolist() == [1] * (5 * ROW)
        assert file.attrs["cache"] == "stamp"


def test_small_records_share_a_dataset(tmp_path: Path) -> None:
    segment = write(tmp_path / "000000.h5", [2] * 1000).seal()
    assert len(segment.starts) == 1
    assert len({segment.position(record) for record in segment.records}) == 1000


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    writer = write(tmp_path / "000000.h5", [2])
    writer.room(7)[:] = 9
    assert [record.label.example for record in writer.seal().records] == [0]


def test_a_copy_keeps_its_checksum(tmp_path: Path) -> None:
    first = write(tmp_path / "000000.h5", [2]).seal()
    writer = SegmentWriter(tmp_path / "000001.h5", "stamp", ROW)
    wrong = first.records[0]._replace(check=first.records[0].check ^ 1)
    writer.copy(wrong, np.zeros((2, ROW), dtype=np.uint8))
    (record,) = writer.seal().records
    assert (record.label, record.check) == (wrong.label, wrong.check)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "000000.h5", "w") as file:
        file["records"] = [1, 2, 3]
    with pytest.raises(NotWhole):
        open_segment(tmp_path / "000000.h5")
