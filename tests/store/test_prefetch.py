"""Micro-batches that are read ahead."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from mpiedge.errors import BadInput
from mpiedge.store.damaged import Damaged
from mpiedge.store.prefetch import Prefetch
from tests.store.stored import DECODER, PLAIN, counts, fill, mask_of, opened, outputs, truth

EVERY = range(DECODER.layers)
ORDERS = [[5, 2], [11, 9, 0], [7], [8, 1, 3, 4]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefetch")
    fill(folder)
    return folder


def masks_of(examples: Sequence[int], more: int = 0, left: bool = False) -> list[torch.Tensor]:
    """The masks that a batch of these examples has, of each layer."""
    both = [[counts(one, DECODER)[end] for one in examples] for end in (0, 1)]
    made = [mask_of(tokens, max(tokens) + more, left) for tokens in both]
    return [made[layer >= DECODER.bridge] for layer in EVERY]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("more", [0, 3])
def test_micro_batches_in_order(whole: Path, left: bool, more: int) -> None:
    with opened(whole) as cache, Prefetch(cache, iter(ORDERS), EVERY, left=left) as ahead:
        for examples, replay in zip(ORDERS, ahead, strict=True):
            assert replay.examples == tuple(examples)
            masks = masks_of(examples, more, left)
            for layer, mask in zip(EVERY, masks, strict=True):
                found = replay.padded(layer, mask)
                assert found.shape == (*mask.shape, DECODER.width)
                assert bool((found[~mask.bool()] == 0).all())
                for row, example in enumerate(examples):
                    expected = truth(example, DECODER)[layer]
                    assert torch.equal(found[row][mask[row].bool()], expected)


def test_nothing_is_copied_where_the_padding_is_as_expected(whole: Path) -> None:
    with opened(whole) as cache, Prefetch(cache, iter(ORDERS[:1]), EVERY) as ahead:
        (replay,) = ahead
        plain, wider = masks_of(ORDERS[0]), masks_of(ORDERS[0], 1)
        assert replay.padded(1, plain[1]) is replay.hidden[1]
        assert replay.padded(1, wider[1]) is not replay.hidden[1]
        other_side = masks_of(ORDERS[0], left=True)
        assert not torch.equal(other_side[1], plain[1])
        assert replay.padded(1, other_side[1]) is not replay.hidden[1]


def test_some_layers(whole: Path) -> None:
    with opened(whole) as cache, Prefetch(cache, iter([[9, 3]]), range(1, 3)) as ahead:
        (replay,) = ahead
        masks = masks_of([9, 3])
        assert len(replay.hidden) == 2
        for layer in (1, 2):
            found = replay.padded(layer, masks[layer])
            assert torch.equal(found[0][masks[layer][0].bool()], truth(9, DECODER)[layer])


def test_other_text_is_noticed(whole: Path) -> None:
    with opened(whole) as cache, Prefetch(cache, iter([[5, 2]]), EVERY) as ahead:
        (replay,) = ahead
        with pytest.raises(BadInput, match=r"\(5, 2\) have \(1, 3\) tokens stored and \(2, 3\)"):
            replay.padded(0, mask_of([2, 3], 3))


def test_what_is_in_use_is_never_overwritten(whole: Path) -> None:
    orders = [ORDERS[number % 4] for number in range(40)]
    with opened(whole) as cache, Prefetch(cache, iter(orders), EVERY, ahead=1) as ahead:
        kept = [next(ahead) for _ in range(3)]
        for _ in range(20):
            next(ahead)
        for replay in kept:
            for row, example in enumerate(replay.examples):
                tokens = counts(example, DECODER).source
                assert torch.equal(replay.hidden[0][row, :tokens], truth(example, DECODER)[0])


def test_so_many_are_read_ahead_and_no_more(whole: Path) -> None:
    asked: list[int] = []
    reached = threading.Semaphore(0)

    def orders() -> Iterator[list[int]]:
        for number in range(12):
            asked.append(number)
            reached.release()
            yield [number]

    with opened(whole) as cache, Prefetch(cache, orders(), EVERY, ahead=3) as ahead:
        for _ in range(4):  # three are read, and the fourth waits for room
            assert reached.acquire(timeout=10)
        assert not reached.acquire(timeout=0.1)
        assert next(ahead).examples == (0,)
        assert reached.acquire(timeout=10)
        assert asked == [0, 1, 2, 3, 4]
    assert len(asked) <= 6


def test_damage_is_raised_where_its_turn_is(tmp_path: Path) -> None:
    fill(tmp_path)
    with opened(tmp_path) as cache:
        (entry,) = cache.index.of(3)
        content = bytearray(entry.segment.path.read_bytes())
        content[entry.segment.position(entry.record) + 1] ^= 1
        entry.segment.path.write_bytes(content)
        with Prefetch(cache, iter([[1, 2], [4, 3], [5]]), EVERY) as ahead:
            assert next(ahead).examples == (1, 2)
            with pytest.raises(Damaged) as caught:
                next(ahead)
            assert caught.value.examples == (3,)
            assert list(ahead) == []


def test_an_example_that_is_not_there(whole: Path) -> None:
    with (
        opened(whole) as cache,
        Prefetch(cache, iter([[99]]), EVERY) as ahead,
        pytest.raises(BadInput, match="what is stored of example 99 is damaged or gone"),
    ):
        next(ahead)


def test_closing_early_and_twice(whole: Path) -> None:
    with opened(whole) as cache:
        ahead = Prefetch(cache, iter(ORDERS * 50), EVERY)
        next(ahead)
        ahead.close()
        ahead.close()
        assert list(ahead) == []
    assert "mpiedge prefetch" not in [thread.name for thread in threading.enumerate()]


def test_beside_a_writer(tmp_path: Path) -> None:
    """Validation may be recorded while training is replayed."""
    with opened(tmp_path, PLAIN) as cache:
        cache.put(range(8), range(3), *outputs(range(8), range(3), PLAIN))
        cache.finish()
        with Prefetch(cache, iter([[number] for number in range(8)] * 10), range(3)) as ahead:
            for number, replay in enumerate(ahead):
                cache.put([100 + number], range(3), *outputs([100 + number], range(3), PLAIN))
                tokens = counts(number % 8, PLAIN).source
                assert torch.equal(replay.hidden[2][0, :tokens], truth(number % 8, PLAIN)[2])
        cache.finish()
        assert len(cache.complete(range(3))) == 88
