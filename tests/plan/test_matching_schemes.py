"""The matchings that CRUNCH is compared with."""

from collections import Counter

import numpy as np
import pytest

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.matching import crunch
from mpiedge.plan.matching_schemes import random_matching, sum_matching
from tests.plan.tables import matchings, memory, of_matching, rows


def test_random_matchings_are_equally_likely() -> None:
    seconds = np.array([[1.0, np.inf], [2.0, 3.0], [1.0, 4.0]])
    drawn = Counter(tuple(random_matching(seconds, seed=s).blocks.tolist()) for s in range(800))
    assert set(drawn) == {(0, 1), (0, 2), (1, 2), (2, 1)}
    assert min(drawn.values()) > 150


def test_a_random_matching_is_the_same_for_the_same_seed() -> None:
    seconds = rows(np.random.default_rng(0), 12, 9)
    first, again = (random_matching(seconds, seed=4) for _ in range(2))
    assert (first.blocks == again.blocks).all()
    assert first.latency == of_matching(seconds, first.blocks).max()


@pytest.mark.parametrize("seed", range(100))
def test_the_sum_is_least_and_the_slowest_no_faster_than_crunchs(seed: int) -> None:
    chance = np.random.default_rng(seed)
    blocks = int(chance.integers(1, 5))
    latency, fits = rows(chance, blocks + 2, blocks), memory(chance, blocks + 2, blocks)
    fits[:blocks] |= np.tri(blocks, dtype=np.bool_)
    seconds = np.where(fits, latency, np.inf)
    least = min(of_matching(seconds, m).sum() for m in matchings(blocks + 2, blocks))
    found = sum_matching(latency, fits)
    assert of_matching(seconds, found.blocks).sum() == pytest.approx(least)
    assert found.latency == of_matching(seconds, found.blocks).max()
    assert found.latency >= crunch(latency, fits).latency


def test_both_refuse_what_crunch_refuses() -> None:
    with pytest.raises(Infeasible, match="2 blocks are more than the 1 devices"):
        random_matching([[1.0, 2.0]])
    with pytest.raises(Infeasible, match="no device can hold block 1"):
        sum_matching([[1.0, np.inf], [1.0, np.inf]])
