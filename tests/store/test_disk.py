"""Disks that are full or read-only."""

import shutil
from pathlib import Path

import pytest
import torch

from mpiedge.errors import BadInput
from mpiedge.store import recorder
from mpiedge.store.cache import ActivationCache
from mpiedge.store.layout import Layout
from tests.store.disk import small_disk
from tests.store.stored import DECODER, fill, opened

WIDE = Layout(2, 64 * 1024, 2, "float32")  # half a megabyte a token
MIB = 1 << 20


def put_until_full(cache: ActivationCache) -> int:
    for number in range(200):
        hidden = [torch.full((1, 2, WIDE.width), float(number))] * 2
        try:
            cache.put([number], range(2), hidden, [torch.ones(1, 2)] * 2)
            cache.finish()
        except BadInput as error:
            assert "is full" in str(error)
            assert "MiB of activations are stored there" in str(error)
            return number
    raise AssertionError("the disk was never full")


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 10 * MIB) as disk:
        with opened(disk / "rank-0", WIDE) as cache:
            stored = put_until_full(cache)
            assert 5 <= stored <= 10
            assert cache.complete(range(2)).tolist() == list(range(stored))
            assert shutil.disk_usage(disk).free > 0.4 * MIB  # the part that did not fit is gone
            with pytest.raises(BadInput, match="is full"):
                cache.finish()
        with opened(disk / "rank-0", WIDE) as cache:
            values = cache.read(range(stored), range(2))
            assert [float(one[1][1, 9]) for one in values] == list(range(stored))


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4, 5])
def test_a_disk_without_room_for_the_last_pages(spare: int, tmp_path: Path) -> None:
    """Full in the middle of what the HDF5 library wrote."""
    with small_disk(tmp_path / "disk", MIB) as disk, opened(disk / "rank-0", DECODER) as cache:
        left = shutil.disk_usage(disk).free - 4096 * spare
        (disk / "ballast").write_bytes(bytes(left))
        hidden = [torch.ones(1, 1, 6)] * 4
        with pytest.raises(BadInput, match=r"is full: 0 bytes .* are stored"):  # noqa: PT012
            cache.put([1], range(4), hidden, [torch.ones(1, 1)] * 4)
            cache.finish()
        assert list((disk / "rank-0").glob("0*")) == []


def test_dropping_works_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 4 * MIB)
    with small_disk(tmp_path / "disk", 10 * MIB) as disk, opened(disk / "rank-0", WIDE) as cache:
        for number in range(8):
            cache.put(
                [number],
                range(2),
                [torch.full((1, 2, WIDE.width), 1.0 * number)] * 2,
                [torch.ones(1, 2)] * 2,
            )
        cache.finish()
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free))
        cache.drop(range(7))
        (found,) = cache.read([7], range(2))
        assert float(found[0][0, 0]) == 7
        (disk / "ballast").unlink()
        cache.drop([])
        assert cache.complete(range(2)).tolist() == [7]


def test_a_read_only_disk(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    with (
        small_disk(tmp_path / "disk", MIB, "ro") as disk,
        pytest.raises(BadInput, match=r"cannot be written \(Read-only file system\); set cache.f"),
    ):
        ActivationCache(disk / "rank-0", DECODER)
