"""Cuts of a row against every cut there is."""

import random
from math import inf

import numpy as np
import pytest

from mpiedge.plan.chain import cut, largest, least, sizes, sums
from tests.plan.problems import every_cut


@pytest.mark.parametrize("seed", range(80))
def test_the_dearest_run_is_as_cheap_as_can_be(seed: int) -> None:
    chance = random.Random(seed)
    places = chance.randint(1, 4)
    layers = chance.randint(places, 8)
    values = [
        [[chance.choice([1.0, 2.0, 3.0, inf]) for _ in range(layers)] for _ in range(layers)]
        for _ in range(places)
    ]

    def worst(runs: tuple[range, ...]) -> float:
        return max(values[i][run.start][run.stop - 1] for i, run in enumerate(runs))

    dearest, runs = cut(lambda place, run: np.array(values[place])[run, run], places, layers)
    assert dearest == min(map(worst, every_cut(range(layers), places)))
    assert dearest == inf or worst(runs) == dearest
    assert [i for run in runs for i in run] == list(range(layers))
    assert all(runs)


def test_of_equals_the_most_even_cut_with_the_earliest_last_run_is_taken() -> None:
    table = sums([1.0] * 5)
    dearest, runs = cut(lambda place, run: table[run, run], 3, 5)
    assert dearest == 2.0
    assert [len(run) for run in runs] == [1, 2, 2]


def test_prices_are_compared_to_so_many_digits() -> None:
    keys = [np.array([[1.0004], [1.0001]]), np.array([[1.0], [2.0]])]
    assert least(keys).tolist() == [1]
    assert least(keys, digits=3).tolist() == [0]


def test_runs_of_a_row_by_their_ends() -> None:
    values = [3, 1, 4, 1, 5]
    for first in range(5):
        for last in range(first, 5):
            run = values[first : last + 1]
            assert sums(values)[first, last] == sizes(values)[first, last] == sum(run)
            assert largest(values)[first, last] == max(run)


def test_like_runs_have_the_same_sum_to_the_last_bit() -> None:
    table = sums([0.1] * 20)
    for length in range(20):
        assert len({float(table[first, first + length]) for first in range(20 - length)}) == 1
