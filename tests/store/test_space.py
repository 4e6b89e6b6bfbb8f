"""Room on the disk."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.store.layout import Layout
from mpiedge.store.space import check_space, free_bytes, size

GIB = 1 << 30
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9 * GIB, 6 * GIB, 3 * GIB))
    return 3 * GIB


def refusal(needed: float, dtype: str, tmp_path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        check_space(tmp_path, int(needed), Layout(13, 768, 13, dtype))
    return str(caught.value)


@pytest.mark.usefixtures("free")
def test_enough(tmp_path: Path) -> None:
    check_space(tmp_path / "not" / "yet", 3 * GIB, Layout(13, 768, 13, "float32"))


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize(
    ("needed", "dtype", "repair"),
    [
        (4, "float32", "set cache.dtype to float16 or bfloat16 or int8"),
        (8, "float32", "set cache.dtype to int8"),
        (4, "bfloat16", "set cache.dtype to int8"),
        (16, "float32", "no cache.dtype would fit"),
        (4, "int8", "no cache.dtype would fit"),
    ],
)
def test_too_little(needed: int, dtype: str, repair: str, tmp_path: Path) -> None:
    said = refusal(needed * GIB, dtype, tmp_path)
    assert f"{needed}.0 GiB are needed in {dtype} and 3.0 GiB are free in {tmp_path}" in said
    assert f"{needed - 3}.0 GiB too little; {repair}, or set cache.folder to" in said
    assert "\n" not in said


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    here = shutil.disk_usage(tmp_path)
    assert 0 < free_bytes(tmp_path / "a" / "b") <= here.total


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 * GIB, "5.0 GiB"),
     (3e15, "2728.5 TiB")],
)  # fmt: skip
def test_sizes_for_a_reader(count: float, text: str) -> None:
    assert size(count) == text
