"""Tensors are read as the safetensors library wrote them, or the file is refused."""

import json
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from mpiedge.errors import BadInput
from mpiedge.model.tensor_file import entries, read_tensors

TENSORS = {
    "float64": torch.linspace(0, 1, 3, dtype=torch.float64),
    "float32": torch.arange(6.0).view(2, 3),
    "float16": torch.linspace(0, 1, 5).half(),
    "bfloat16": torch.linspace(0, 1, 5).bfloat16(),
    "int64": torch.arange(-3, 4),
    "int32": torch.arange(-3, 4, dtype=torch.int32),
    "int16": torch.arange(-3, 4, dtype=torch.int16),
    "int8": torch.arange(-3, 4, dtype=torch.int8),
    "uint8": torch.arange(4, dtype=torch.uint8),
    "bool": torch.tensor([[True], [False]]),
    "scalar": torch.tensor(2.5),
    "nothing": torch.empty(0, 4),
}


def header_only(path: Path, header: object, size: int = 0) -> Path:
    """A file with a header and that many bytes of zeros, which take no room on the disk."""
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with path.open("ab") as file:
        file.truncate(8 + len(text) + size)
    return path


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    save_file(TENSORS, path, metadata={"format": "pt"})
    assert entries(path).keys() == TENSORS.keys()
    for name, tensor in read_tensors(path, list(TENSORS)):
        assert tensor.dtype is TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])
    assert [name for name, _ in read_tensors(path, ["int8", "bool"])] == ["int8", "bool"]


def test_what_is_read_can_be_written_to_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    save_file(TENSORS, path)
    before = path.read_bytes()
    for _, tensor in read_tensors(path, list(TENSORS)):
        tensor.zero_()
    assert path.read_bytes() == before


def test_a_file_larger_than_memory(tmp_path: Path) -> None:
    size = psutil.virtual_memory().total + psutil.swap_memory().total + (1 << 30)
    first = {"dtype": "U8", "shape": [size - 16], "data_offsets": [0, size - 16]}
    last = {"dtype": "F32", "shape": [4], "data_offsets": [size - 16, size]}
    path = header_only(tmp_path / "huge.safetensors", {"first": first, "last": last}, size)
    ((_, tensor),) = read_tensors(path, ["last"])
    assert torch.equal(tensor, torch.zeros(4))


def test_a_file_cut_short_says_how_much_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    save_file(TENSORS, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    sizes = f"{len(whole) - 10:,} bytes of {len(whole):,} are there"
    with pytest.raises(BadInput, match=rf"^all.safetensors: is cut short, {sizes}; copy it anew$"):
        list(read_tensors(path, ["bool"]))


CONTENTS = [b"", b"1234", b"\xff" * 64, b"\x02" + bytes(7) + b"{]", b"\x02" + bytes(7) + b"[]"]


@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    words = rf"^other.safetensors: is cut short or damaged, {len(content)} bytes are there"
    with pytest.raises(BadInput, match=words):
        entries(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "F32", "shape": [2]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]},
        8,
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(tmp_path: Path, fields: object) -> None:
    path = header_only(tmp_path / "odd.safetensors", {"a": fields}, 8)
    with pytest.raises(BadInput, match="^odd.safetensors: is cut short or damaged"):
        entries(path)


def test_a_number_format_that_torch_cannot_compute_with_is_named(tmp_path: Path) -> None:
    odd = {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}
    path = header_only(tmp_path / "odd.safetensors", {"a": odd}, 2)
    with pytest.raises(BadInput, match="a is in the number format F8_E4M3; save it in one of F64"):
        list(read_tensors(path, ["a"]))
