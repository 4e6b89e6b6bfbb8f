"""Stores that are cut short, or of which bytes are flipped, anywhere."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mpiedge.store.cache import ActivationCache
from mpiedge.store.damaged import Damaged
from tests.store.stored import DECODER, fill, opened, put, same

EVERY = range(DECODER.layers)
Harm = Callable[[Path, random.Random], None]


def flip(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        content[dice.randrange(len(content))] ^= dice.randrange(1, 256)
    path.write_bytes(content)


def cut(path: Path, dice: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: dice.randrange(len(content))])


def lose(path: Path, dice: random.Random) -> None:
    """A sector that was never written."""
    content = bytearray(path.read_bytes())
    start = dice.randrange(0, len(content), 512)
    content[start : start + 512] = bytes(len(content[start : start + 512]))
    path.write_bytes(content)


def swap(path: Path, dice: random.Random) -> None:
    """Two sectors that lie in each other's places."""
    content = bytearray(path.read_bytes())
    one, other = (512 * dice.randrange(len(content) // 512) for _ in range(2))
    first, second = content[one : one + 512], content[other : other + 512]
    content[one : one + 512], content[other : other + 512] = second, first
    path.write_bytes(content)


def grow(path: Path, dice: random.Random) -> None:
    path.write_bytes(path.read_bytes() + dice.randbytes(dice.randrange(1, 5000)))


def survivors(cache: ActivationCache) -> tuple[int, int]:
    """How many examples have their true values and how many are damaged; others are absent."""
    true = damaged = 0
    for example in cache.complete(EVERY).tolist():
        try:
            (found,) = cache.read([example], EVERY)
        except Damaged as error:
            assert error.examples == (example,)
            damaged += 1
        else:
            assert same(found, example, DECODER)
            true += 1
    return true, damaged


def heal(cache: ActivationCache) -> None:
    """What a run does: drop what is damaged, record what is absent."""
    for example in cache.complete(EVERY).tolist():
        try:
            cache.read([example], EVERY)
        except Damaged as error:
            cache.drop(error.examples)
    put(cache, range(12))
    cache.finish()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "rank-0"
    fill(folder)
    return folder


@pytest.mark.parametrize("harm", [flip, cut, lose, swap, grow])
def test_values_are_true_or_damaged_or_absent_and_can_be_recorded_anew(
    harm: Harm, whole: Path, tmp_path: Path
) -> None:
    dice = random.Random(harm.__name__)
    noticed = 0
    for number in range(25):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        harm(dice.choice(sorted(folder.glob("*.h5"))), dice)
        with opened(folder) as cache:
            true, damaged = survivors(cache)
            assert true >= 8  # the other segments lose nothing
            noticed += true < 12
            assert (cache.lost > 0) == (true + damaged < 12)
            heal(cache)
            assert survivors(cache) == (12, 0)
    assert noticed > 2


def test_what_was_recorded_anew_is_found_first_by_the_next_run(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    with opened(folder) as cache:
        (entry, *_) = cache.index.of(5)
    content = bytearray(entry.segment.path.read_bytes())
    content[entry.segment.position(entry.record)] ^= 1
    entry.segment.path.write_bytes(content)
    with opened(folder) as cache:
        with pytest.raises(Damaged, match="example 5 is damaged"):
            cache.read([4, 5, 6], EVERY)
        with pytest.raises(Damaged):
            cache.raw(5)
        heal(cache)
    with opened(folder) as cache:
        assert survivors(cache) == (12, 0)


def test_a_segment_that_is_deleted_while_in_use(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    with opened(folder) as cache:
        (folder / "000000.h5").unlink()
        assert survivors(cache) == (8, 4)


def test_the_error_names_some_examples_and_has_all() -> None:
    error = Damaged(range(9, 0, -1))
    assert error.examples == tuple(range(1, 10))
    assert "example 1, 2, 3, 4, 5 and 4 more is damaged" in str(error)
