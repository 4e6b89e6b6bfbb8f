"""One rank's activation cache, from put to read."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mpiedge.errors import BadInput
from mpiedge.store import recorder
from mpiedge.store.cache import ActivationCache
from mpiedge.store.damaged import Damaged
from mpiedge.store.layout import Layout
from tests.store.stored import DECODER, PLAIN, fill, opened, outputs, put, same, truth

EVERY = range(DECODER.layers)


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.h5"))


@pytest.mark.parametrize("layout", [DECODER, PLAIN])
def test_what_was_put_is_read(layout: Layout, tmp_path: Path) -> None:
    with opened(tmp_path, layout) as cache:
        put(cache, [5, 2, 7, 0])
        put(cache, [1, 3])
        cache.finish()
        assert cache.complete(range(layout.layers)).tolist() == [0, 1, 2, 3, 5, 7]
        read = cache.read([3, 7, 2], range(layout.layers))
    assert all(same(found, one, layout) for found, one in zip(read, [3, 7, 2], strict=True))
    with opened(tmp_path, layout) as again:
        assert again.lost == 0
        assert same(again.read([5], range(layout.layers))[0], 5, layout)


def test_some_layers_only(tmp_path: Path) -> None:
    fill(tmp_path)
    with opened(tmp_path) as cache:
        for example in (1, 9):  # in one record, in two
            for layers in (range(1, 3), range(2, 4), range(1)):
                (found,) = cache.read([example], layers)
                expected = [truth(example, DECODER)[layer] for layer in layers]
                assert all(map(torch.equal, found, expected))
                assert len(found) == len(layers)


def test_layers_that_different_ranks_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, [1, 2], range(2))
        put(cache, [2, 3], range(2, 4))
        cache.finish()
        assert cache.complete(EVERY).tolist() == [2]
        assert cache.complete(range(2)).tolist() == [1, 2]
        assert cache.complete(range(2)).dtype == np.int64
        with pytest.raises(BadInput, match=r"what is stored of example 1 is damaged or gone"):
            cache.read([2, 1], EVERY)


def test_padding_on_the_left_and_gaps(tmp_path: Path) -> None:
    with opened(tmp_path, PLAIN) as cache:
        cache.put([1, 4], range(3), *outputs([1, 4], range(3), PLAIN, left=True))
        gaps = torch.tensor([[1, 0, 1, 1, 0]])
        hidden = [torch.randn(1, 5, 8) for _ in range(3)]
        cache.put([9], range(3), hidden, [gaps] * 3)
        cache.finish()
        assert same(cache.read([4], range(3))[0], 4, PLAIN)
        assert torch.equal(cache.read([9], range(3))[0][1], hidden[1][0, [0, 2, 3]])


def test_what_is_there_stays(tmp_path: Path) -> None:
    with opened(tmp_path, PLAIN) as cache:
        put(cache, [1, 2])
        hidden, masks = outputs([1, 2, 3], range(3), PLAIN)
        cache.put([1, 2, 3], range(3), [one * 2 for one in hidden], masks)
        cache.finish()
        cache.put([3], range(3), *outputs([3], range(3), PLAIN))
        cache.finish()
        one, two, three = cache.read([1, 2, 3], range(3))
        assert same(one, 1, PLAIN)
        assert same(two, 2, PLAIN)
        assert torch.equal(three[0], 2 * truth(3, PLAIN)[0])
        assert segments(tmp_path) == ["000000.h5"]


def test_what_was_not_finished_is_lost_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path, PLAIN) as cache:
        put(cache, [1])
        cache.finish()
        put(cache, [2])
        assert cache.complete(range(3)).tolist() == [1]
    assert list(tmp_path.glob("*.part")) == []
    with opened(tmp_path, PLAIN) as cache:
        assert cache.complete(range(3)).tolist() == [1]


def test_a_killed_process_loses_only_its_last_segment(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.store.stored import *\n"
        "cache = ActivationCache(Path(sys.argv[1]), PLAIN, 'key')\n"
        "put(cache, [1, 2]); cache.finish()\n"
        "put(cache, [3]); cache._thread.wait()\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run((sys.executable, "-c", script, str(tmp_path)), check=False, timeout=60)
    assert done.returncode == -9
    assert [path.name for path in tmp_path.glob("*.part")] == ["000001.part"]
    with opened(tmp_path, PLAIN) as cache:
        assert cache.complete(range(3)).tolist() == [1, 2]
        assert list(tmp_path.glob("*.part")) == []


def test_large_stores_have_several_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 1)
    layout = Layout(3, 128 * 1024, 3, "float32")
    with opened(tmp_path, layout) as cache:
        for example in range(12):
            cache.put(
                [example],
                range(3),
                [torch.full((1, 2, layout.width), example)] * 3,
                [torch.ones(1, 2)] * 3,
            )
        cache.finish()
        assert len(segments(tmp_path)) == 4  # eight megabytes hold two records, the third seals
        assert [int(one[2][1, 7]) for one in cache.read(range(12), range(3))] == list(range(12))


def test_from_rank_to_rank(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        for example in (3, 9):
            records = one.raw(example)
            assert [layers for layers, _ in records] == (
                [EVERY] if example == 3 else [range(1), range(1, 4)]
            )
            for _, content in records:
                other.put_raw(example, content)
        other.finish()
        assert other.complete(EVERY).tolist() == [3, 9]
        assert all(map(same, other.read([3, 9], EVERY), [3, 9], [DECODER] * 2))


def test_what_arrives_damaged_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        ((_, content),) = one.raw(3)
        for place in range(0, content.numel(), 7):
            harmed = content.clone()
            harmed[place] ^= 4
            with pytest.raises(Damaged):
                other.put_raw(3, harmed)
        for size in (0, 10, content.numel() - 8):
            with pytest.raises(Damaged):
                other.put_raw(3, content[:size])
        with pytest.raises(Damaged):
            other.put_raw(4, content)
        other.finish()
        assert len(other.complete(EVERY)) == 0


def test_dropping_frees_the_disk(tmp_path: Path) -> None:
    fill(tmp_path)
    with opened(tmp_path) as cache:
        cache.drop([0, 1, 2, 3])
        assert segments(tmp_path) == ["000001.h5", "000002.h5"]
        cache.drop([4])  # the segment stays
        assert segments(tmp_path) == ["000001.h5", "000002.h5"]
        assert cache.complete(EVERY).tolist() == [5, 6, 7, 8, 9, 10, 11]
    with opened(tmp_path) as cache:
        assert cache.complete(EVERY).tolist() == [5, 6, 7, 8, 9, 10, 11]
        cache.drop([5, 6])  # what is left moves
        assert segments(tmp_path) == ["000002.h5", "000003.h5"]
        assert same(cache.read([7], EVERY)[0], 7, DECODER)
        cache.drop([77])  # it never was there
    with opened(tmp_path) as cache:
        assert cache.complete(EVERY).tolist() == [7, 8, 9, 10, 11]
        assert same(cache.read([7], EVERY)[0], 7, DECODER)


def test_a_dropped_example_can_be_put_again(tmp_path: Path) -> None:
    fill(tmp_path)
    with opened(tmp_path) as cache:
        cache.drop([4, 9])
        put(cache, [4, 9])
        cache.finish()
        assert all(map(same, cache.read([4, 9], EVERY), [4, 9], [DECODER] * 2))


def test_another_key_or_layout_is_never_read(tmp_path: Path) -> None:
    fill(tmp_path)
    for layout, key in ((DECODER, "other"), (replace(DECODER, dtype="float16"), "key")):
        with pytest.raises(BadInput, match=r"000000.h5 is of the cache .*, not .*cache remove"):
            ActivationCache(tmp_path, layout, key)
    with opened(tmp_path) as cache:  # the lock was given back
        assert len(cache.complete(EVERY)) == 12


def test_two_processes_at_once(tmp_path: Path) -> None:
    fill(tmp_path)
    with opened(tmp_path), pytest.raises(BadInput, match="in use by another process"):
        ActivationCache(tmp_path, DECODER, "key")
    with opened(tmp_path) as cache:
        assert len(cache.complete(EVERY)) == 12


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file/rank-0 cannot be written \(Not a directory\)"):
        ActivationCache(tmp_path / "file" / "rank-0", PLAIN)


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    hidden, masks = outputs([1, 2], range(3), PLAIN)
    with opened(tmp_path, PLAIN) as cache:
        with pytest.raises(BadInput, match="2 layers, but 3 activations and 3 masks"):
            cache.put([1, 2], range(2), hidden, masks)
        with pytest.raises(BadInput, match="3 examples of width 8"):
            cache.put([1, 2, 3], range(3), hidden, masks)
        with pytest.raises(BadInput, match="but activations of"):
            cache.put([1, 2], range(3), [one[:, 1:] for one in hidden], masks)


def test_a_failure_in_the_thread_is_heard(tmp_path: Path) -> None:
    with opened(tmp_path, replace(PLAIN, dtype="float16")) as cache:
        cache.put([1], range(3), [torch.full((1, 2, 8), 1e6)] * 3, [torch.ones(1, 2)] * 3)
        with pytest.raises(BadInput, match="float16 cannot hold an activation of 1e.06"):
            cache.finish()
        with pytest.raises(BadInput, match="float16 cannot hold"):
            put(cache, [2])
    assert segments(tmp_path) == []
