"""Epochs, updates, and what happens between them."""

from itertools import chain

import pytest

from mpiedge.run.clock import Clock


def test_the_last_batch_of_an_epoch_may_be_short() -> None:
    clock = Clock(examples=10, batch_size=4, epochs=2)
    assert (clock.epoch, clock.steps) == (3, 6)
    assert [clock.examples_before(step) for step in range(7)] == [0, 4, 8, 10, 14, 18, 20]


def test_full_batches() -> None:
    clock = Clock(examples=12, batch_size=4, epochs=2)
    assert (clock.epoch, clock.steps) == (3, 6)
    assert [clock.examples_before(step) for step in (2, 3, 6)] == [8, 12, 24]


@pytest.mark.parametrize(("most", "steps"), [(0, 6), (1, 1), (5, 5), (6, 6), (100, 6)])
def test_most_steps_ends_earlier_and_never_later(most: int, steps: int) -> None:
    assert Clock(10, 4, epochs=2, max_steps=most).steps == steps


@pytest.mark.parametrize(
    ("clock", "after"),
    [
        (Clock(10, 4, epochs=3), [3, 6, 9]),
        (Clock(10, 4, epochs=3, evaluate_every=2), [2, 4, 6, 8, 9]),
        (Clock(10, 4, epochs=3, max_steps=4), [3, 4]),
        (Clock(10, 4, epochs=3, max_steps=8, evaluate_every=4), [4, 8]),
        (Clock(10, 4, epochs=3, evaluate_every=100), [9]),
    ],
)
def test_evaluations_come_in_their_turn_and_at_the_end(clock: Clock, after: list[int]) -> None:
    assert [step for step in range(1, clock.steps + 1) if clock.evaluates(step)] == after


@pytest.mark.parametrize("examples", [1, 7, 640, 641])
@pytest.mark.parametrize("every", [0, 1, 3, 50])
@pytest.mark.parametrize("most", [0, 5, 131])
def test_portions_are_all_updates_and_none_runs_over_an_evaluation(
    examples: int, every: int, most: int
) -> None:
    clock = Clock(examples, 4, epochs=3, max_steps=most, evaluate_every=every)
    portions = list(clock.portions(0, clock.steps))
    assert list(chain(*portions)) == list(range(clock.steps))
    for portion in portions:
        assert 1 <= len(portion) <= 64
        assert not any(clock.evaluates(step) for step in portion[1:])
        # Only one epoch's batches are known at a time.
        assert portion[0] // clock.epoch == portion[-1] // clock.epoch


def test_portions_may_start_anywhere() -> None:
    clock = Clock(40, 4, epochs=3)
    assert list(clock.portions(7, 22)) == [range(7, 10), range(10, 20), range(20, 22)]
    assert list(clock.portions(5, 5)) == []
