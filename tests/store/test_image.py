"""HDF5 files of which the library sees only its own pages."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from mpiedge.store import image
from mpiedge.store.image import PAGE, Image, NotWhole, OtherFormat


def write(path: Path, datasets: list[bytes]) -> list[int]:
    """A file with large datasets and a small table; where the datasets went."""
    pages = Image()
    file = image.new_file(pages)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    starts = []
    for number, content in enumerate(datasets):
        size = -(-len(content) // PAGE) * PAGE
        starts.append(image.reserve(file, str(number), size))
        image.write_all(descriptor, memoryview(content), starts[-1])
    file["table"] = np.arange(1500)
    file.attrs["word"] = "there"
    file.close()
    image.save(pages, descriptor)
    os.close(descriptor)
    return starts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "file.h5", [b"a" * PAGE, b"b" * 10_000, b"c"])
    return tmp_path / "file.h5"


def test_it_is_a_plain_hdf5_file(path: Path) -> None:
    with h5py.File(path, "r") as file:
        assert bytes(file["0"][()]) == b"a" * PAGE
        assert bytes(file["1"][:10_000]) == b"b" * 10_000
        assert bytes(file["2"][:2]) == b"c\0"
        assert file["table"][-1] == 1499
        assert file.attrs["word"] == "there"


def test_the_library_is_given_its_pages_only(path: Path) -> None:
    content = path.read_bytes()
    pages = image.load(path)
    assert len(pages.pages) * PAGE < len(content) - PAGE - 10_000
    with h5py.File(pages, "r") as file:
        assert np.array_equal(file["table"][()], np.arange(1500))
        start = file["1"].id.get_offset()
        assert content[start : start + 10_000] == b"b" * 10_000
        assert file["1"].shape == (3 * PAGE,)


def test_no_dataset_shares_a_page(tmp_path: Path) -> None:
    starts = write(tmp_path / "file", [bytes([number]) * 5000 for number in range(40)])
    taken = {page for start in starts for page in (start // PAGE, start // PAGE + 1)}
    assert len(taken) == 80
    assert not taken & set(image.load(tmp_path / "file").pages)


def test_every_byte_of_the_pages_is_verified(path: Path) -> None:
    content = path.read_bytes()
    held = image.load(path).pages
    own = [number * PAGE + place for number in held for place in range(0, PAGE, 97)]
    tail = range(-32 - 8 * len(held), 0)
    for place in (*own, *tail):
        harmed = bytearray(content)
        harmed[place] ^= 1
        path.write_bytes(harmed)
        with pytest.raises(NotWhole):
            image.load(path)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 4096, 10_000, -33, -1])
def test_a_file_that_is_cut_short(size: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(NotWhole):
        image.load(path)


def test_a_file_with_something_before_it(path: Path) -> None:
    path.write_bytes(bytes(PAGE) + path.read_bytes())
    with pytest.raises(NotWhole):
        image.load(path)


def test_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "FORMAT", 9)
    write(tmp_path / "file", [b"a"])
    monkeypatch.undo()
    with pytest.raises(OtherFormat) as caught:
        image.load(tmp_path / "file")
    assert caught.value.found == 9


def test_an_image_is_a_file() -> None:
    pages = Image()
    assert pages.seek(PAGE - 3) == PAGE - 3
    assert pages.write(memoryview(b"abcdef")) == 6
    assert pages.tell() == pages.end == PAGE + 3
    assert pages.seek(-8, os.SEEK_END) == PAGE - 5
    assert pages.read(100) == b"\0\0abcdef"
    assert pages.read(1) == b""
    assert pages.seek(-2, os.SEEK_CUR) == PAGE + 1
    assert pages.truncate(3 * PAGE) == pages.end
    assert pages.read(PAGE) == b"ef" + bytes(PAGE - 2)
    assert sorted(pages.pages) == [0, 1]


def test_a_write_may_take_several_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, at: real(file, content[:7], at))
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    image.write_all(descriptor, memoryview(bytes(range(100))), 5)
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == bytes(5) + bytes(range(100))
