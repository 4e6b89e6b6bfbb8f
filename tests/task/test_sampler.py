import random

import pytest

from mpiedge.task.sampler import (
    WINDOW,
    column_batches,
    columns,
    epoch_batches,
    micro_batches,
)


def padding(batches: list[tuple[int, ...]], lengths: list[int]) -> float:
    """The share of a padded epoch that is padding."""
    full = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    return 1 - sum(lengths) / full


@pytest.mark.parametrize("seed", range(20))
def test_every_example_comes_exactly_once_in_full_batches(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [draw.randrange(1, 99) for _ in range(draw.randrange(1, 3000))]
    size = draw.randrange(1, 40)
    batches = epoch_batches(lengths, size, seed, epoch=draw.randrange(5))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1])
    assert len(batches[-1]) == (len(lengths) % size or size)


def test_the_order_is_the_same_on_any_machine() -> None:
    # A changed number here is a changed order for everybody who resumes or compares a run.
    assert epoch_batches([5, 1, 4, 2, 3, 9, 7], 2, seed=1, epoch=0) == [
        (1, 3),
        (4, 2),
        (0, 6),
        (5,),
    ]


def test_seed_and_epoch_change_the_order() -> None:
    lengths = [i % 7 for i in range(100)]
    orders = {tuple(epoch_batches(lengths, 8, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
    assert epoch_batches(lengths, 8, 1, 1) == epoch_batches(lengths, 8, 1, 1)


def test_batches_are_not_in_order_of_length() -> None:
    lengths = list(range(400))
    longest = [max(batch) for batch in epoch_batches(lengths, 10, 0, 0)]
    assert longest != sorted(longest)


def test_little_is_padding() -> None:
    draw = random.Random(0)
    lengths = [int(draw.lognormvariate(2.5, 0.6)) + 2 for _ in range(4 * WINDOW * 32)]
    order = draw.sample(range(len(lengths)), len(lengths))
    plain = [tuple(order[i : i + 32]) for i in range(0, len(order), 32)]
    assert padding(plain, lengths) > 0.5
    assert padding(epoch_batches(lengths, 32, 0, 0), lengths) < 0.06


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [0, 1, 2, 5, 8, 28])
def test_micro_batches_are_the_batch_in_order_and_nearly_equal(size: int, count: int) -> None:
    batch = tuple(range(100, 100 + size))
    cut = micro_batches(batch, count)
    assert len(cut) == count
    assert sum(cut, ()) == batch
    sizes = [len(part) for part in cut]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


def test_a_full_batch_is_cut_into_equal_parts() -> None:
    assert micro_batches(range(8), 4) == ((0, 1), (2, 3), (4, 5), (6, 7))


def test_a_short_batch_leaves_micro_batches_empty() -> None:
    assert micro_batches((5, 6), 4) == ((5,), (6,), (), ())


def test_no_examples_make_no_batches() -> None:
    assert epoch_batches([], 4, 0, 0) == []


@pytest.mark.parametrize("seed", range(30))
def test_columns_hold_every_example_once_and_epochs_stay_in_them(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [draw.randrange(1, 99) for _ in range(draw.randrange(1, 2000))]
    size = min(draw.randrange(1, 40), len(lengths))
    count = draw.randrange(1, size + 3)
    dealt = columns(len(lengths), size, count, seed)
    assert sorted(i for column in dealt for i in column) == list(range(len(lengths)))
    assert len(dealt) == count
    for epoch in (0, 1):
        batches = column_batches(dealt, lengths, size, seed, epoch)
        assert len(batches) == -(-len(lengths) // size)
        assert sorted(i for batch in batches for part in batch for i in part) == list(
            range(len(lengths))
        )
        assert all(sum(map(len, batch)) == size for batch in batches[: len(lengths) // size])
        for m, column in enumerate(dealt):
            assert {i for batch in batches for i in batch[m]} == set(column)


def test_a_batch_of_columns_is_cut_as_any_batch_is() -> None:
    dealt = columns(17, 7, 3, seed=0)
    batches = column_batches(dealt, [1] * 17, 7, seed=0, epoch=0)
    sizes = [[len(part) for part in batch] for batch in batches]
    assert sizes == [[3, 2, 2], [3, 2, 2], [1, 1, 1]]


def test_the_micro_batches_of_a_column_batch_are_equally_long() -> None:
    draw = random.Random(0)
    lengths = [int(draw.lognormvariate(2.5, 0.6)) + 2 for _ in range(2 * WINDOW * 32)]
    dealt = columns(len(lengths), 32, 4, seed=0)
    batches = column_batches(dealt, lengths, 32, seed=0, epoch=0)
    longest = [[max(lengths[i] for i in part) for part in batch] for batch in batches]
    uneven = sum(max(row) - sum(row) / 4 for row in longest) / sum(max(row) for row in longest)
    assert uneven < 0.06
    assert padding([part for batch in batches for part in batch], lengths) < 0.06


def test_columns_and_epochs_differ_by_seed() -> None:
    assert columns(50, 8, 2, seed=0) != columns(50, 8, 2, seed=1)
    dealt = columns(50, 8, 2, seed=0)
    epochs = [column_batches(dealt, [1] * 50, 8, 0, epoch) for epoch in (0, 0, 1)]
    assert epochs[0] == epochs[1] != epochs[2]
