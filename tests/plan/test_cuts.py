"""The cut of devices and layers against every cut there is."""

import random

import numpy as np
import pytest

from mpiedge.plan.cuts import cuts
from mpiedge.plan.loads import Loads
from tests.plan.problems import best_by_stages, fits, random_problem, rows_seconds


@pytest.mark.parametrize("seed", range(300))
def test_as_fast_as_the_best_of_all_groupings_cuts_and_shares(seed: int) -> None:
    problem = random_problem(random.Random(seed))
    order = tuple(range(len(problem.cost.devices)))
    loads = Loads(problem)
    found = {}
    for stages, cut in cuts(loads.seconds, order, len(problem.cost.layers)).items():
        prices = []
        for i, (ranks, part) in enumerate(cut):
            shares = loads.shares(ranks, part, stages - i)
            assert sum(shares) == problem.rows
            assert all(share >= 1 for share in shares)
            pairs = list(zip(ranks, shares, strict=True))
            assert all(fits(problem, rank, part, share, stages - i) for rank, share in pairs)
            prices.append(max(rows_seconds(problem, r, part, share) for r, share in pairs))
        found[stages] = max(prices)
        assert [rank for ranks, _ in cut for rank in ranks] == list(order)
        assert [i for _, part in cut for i in part] == list(range(len(problem.cost.layers)))
    assert found == pytest.approx(best_by_stages(problem, order))


def test_among_equals_the_smaller_sum_is_taken() -> None:
    # Layer 1 costs 3 on any device; layer 0 is cheaper on device 0 than with layer 1 on it.
    def price(ranks: tuple[int, ...], left: int) -> np.ndarray:
        whole = 3.0 if ranks == (0,) else 4.0
        return np.array([[1.0 + ranks[0], whole], [np.inf, 3.0]])

    assert cuts(price, (0,), 2) == {1: (((0,), range(2)),)}
    assert cuts(price, (0, 1), 2) == {
        1: (((0, 1), range(2)),),
        2: (((0,), range(1)), ((1,), range(1, 2))),
    }


def test_what_cannot_be_is_left_out() -> None:
    never = np.full((2, 2), np.inf)
    assert cuts(lambda ranks, left: never, (0, 1), 2) == {}
    whole = np.array([[np.inf, 1.0], [np.inf, np.inf]])
    assert list(cuts(lambda ranks, left: whole, (0, 1, 2), 2)) == [1]
