"""Parts of checkpoints: whole or absent."""

import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from mpiedge.store.checkpoint import (
    PIECE,
    Part,
    Writing,
    content_of,
    keep_last,
    parts_in,
    pieces_of,
    unpacked,
    write,
)

TENSORS = {"0:weight": torch.arange(6.0).view(2, 3), "1:weight": torch.zeros(2, 3)[:, :0]}
FACTS = {"done": 128, "losses": [0.5, 0.25], "level": 1}


def _written(folder: Path, update: int, number: int = 0, count: int = 1) -> Part:
    pieces = pieces_of(TENSORS, {**FACTS, "update": update, "part": number})
    return write(folder, update, number, count, pieces)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    part = _written(tmp_path / "new" / "folder", 128, 2, 3)
    (found,) = parts_in(tmp_path / "new" / "folder")
    assert found == part
    content = content_of(tmp_path / "new" / "folder", part)
    assert content is not None
    contents = unpacked(content)
    assert contents is not None
    assert contents.facts == {**FACTS, "update": 128, "part": 2}
    assert contents.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(contents.tensors[name], TENSORS[name]) for name in TENSORS)


def test_the_newest_come_first(tmp_path: Path) -> None:
    parts = [
        _written(tmp_path, update, number, 2) for update in (64, 192, 128) for number in (0, 1)
    ]
    assert [(p.update, p.number) for p in parts_in(tmp_path)] == [
        (192, 1),
        (192, 0),
        (128, 1),
        (128, 0),
        (64, 1),
        (64, 0),
    ]
    assert set(parts_in(tmp_path)) == set(parts)


def test_only_the_last_are_kept(tmp_path: Path) -> None:
    for update in (64, 128, 192):
        _written(tmp_path, update, 0, 2)
        _written(tmp_path, update, 1, 2)
    keep_last(tmp_path, 2)
    assert {part.update for part in parts_in(tmp_path)} == {128, 192}
    assert len(parts_in(tmp_path)) == 4


def test_every_cut_and_flip_is_noticed(tmp_path: Path) -> None:
    part = _written(tmp_path, 7)
    whole = (tmp_path / part.name).read_bytes()
    for size in range(len(whole)):
        (tmp_path / part.name).write_bytes(whole[:size])
        assert content_of(tmp_path, part) is None
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        (tmp_path / part.name).write_bytes(changed)
        assert content_of(tmp_path, part) is None
    (tmp_path / part.name).write_bytes(whole)
    assert content_of(tmp_path, part) == whole


def test_one_that_is_gone_is_absent(tmp_path: Path) -> None:
    part = _written(tmp_path, 7)
    (tmp_path / part.name).unlink()
    assert content_of(tmp_path, part) is None
    assert parts_in(tmp_path) == ()
    assert parts_in(tmp_path / "nowhere") == ()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("update-7.safetensors", "update-00000007.0-of-1.xyz.safetensors", "notes.txt"):
        (tmp_path / name).write_text("mine")
    part = _written(tmp_path, 7)
    assert parts_in(tmp_path) == (part,)
    keep_last(tmp_path, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "notes.txt",
        "update-00000007.0-of-1.xyz.safetensors",
        "update-7.safetensors",
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"12345678", b"".join(pieces_of({}, {}))[:-1], b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 64],
)
def test_bytes_that_are_no_part_say_nothing(content: bytes) -> None:
    assert unpacked(content) is None


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool],
)
def test_the_library_reads_every_type(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    given = {
        "scalar": torch.tensor(3).to(dtype),
        "turned": torch.randn(5, 3).to(dtype).T,
        "none": torch.zeros(0, 4, dtype=dtype),
        "many": torch.randn(PIECE // 4 + 3).to(dtype),
    }
    pieces = pieces_of(given, FACTS)
    assert max(map(len, pieces)) <= PIECE
    found = load(b"".join(pieces))
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor)


def test_no_copy_is_made_of_what_is_kept() -> None:
    weight = torch.zeros(PIECE)
    _, *pieces = pieces_of({"0:weight": weight}, FACTS)
    pieces[0][:4] = struct.pack("f", 7.0)
    assert weight[0] == 7.0


def test_what_a_killed_rank_left_half_written_goes_with_the_next(tmp_path: Path) -> None:
    left = Writing(tmp_path, 7, 1, 2)
    left.__enter__()
    _written(tmp_path, 7)
    keep_last(tmp_path, 2)
    assert len(list(tmp_path.iterdir())) == 2
    _written(tmp_path, 9)
    keep_last(tmp_path, 2)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    left.__exit__(None, None, None)


def test_a_full_disk_is_told_when_all_has_come(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("a file where the folder should be")
    with Writing(tmp_path / "way", 7, 0, 1) as writing:
        for piece in pieces_of(TENSORS, FACTS):
            writing.add(piece)
        with pytest.raises(OSError, match="exists|directory"):
            writing.placed()


def test_nothing_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _written(tmp_path, 7)
    assert list(tmp_path.iterdir()) == []
