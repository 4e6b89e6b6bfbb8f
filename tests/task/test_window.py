"""Shuffling by windows over clients."""

import pytest

from mpiedge.task.window import windowed_batches

CLIENTS = [tuple(range(40)), tuple(range(40, 50)), tuple(range(50, 53))]


@pytest.mark.parametrize("window", [1, 7, 16, 1000])
def test_every_example_comes_once_an_epoch(window: int) -> None:
    batches = windowed_batches(CLIENTS, window, 8, seed=0, epoch=0)
    assert sorted(n for batch in batches for n in batch) == list(range(53))
    assert [len(batch) for batch in batches] == [8] * 6 + [5]
    assert batches != windowed_batches(CLIENTS, window, 8, seed=0, epoch=1)
    assert batches == windowed_batches(CLIENTS, window, 8, seed=0, epoch=0)


def test_within_a_window_clients_are_mixed_in_proportion() -> None:
    batches = windowed_batches(CLIENTS[:2], 10, 10, seed=0, epoch=0)
    assert all(sum(n >= 40 for n in batch) == 2 for batch in batches)


def test_a_window_of_one_keeps_the_order_in_which_examples_come() -> None:
    (narrow,) = windowed_batches(CLIENTS[:1], 1, 40, seed=0, epoch=0)
    (wide,) = windowed_batches(CLIENTS[:1], 40, 40, seed=0, epoch=0)
    assert narrow != wide
    assert narrow != tuple(range(40))
