"""Exchanges of blocks: never slower, and at the end none is faster."""

from itertools import combinations

import numpy as np
import pytest

from mpiedge.plan.exact_allocation import exact
from mpiedge.plan.exchanges import exchanged
from mpiedge.plan.matching_schemes import random_matching
from tests.plan.tables import Ints, of_matching, problem, small


def _neighbours(matching: Ints, devices: int) -> list[Ints]:
    found = []
    for block in range(len(matching)):
        for device in set(range(devices)) - set(matching.tolist()):
            found.append(np.where(np.arange(len(matching)) == block, device, matching))
    for one, other in combinations(range(len(matching)), 2):
        swapped = matching.copy()
        swapped[[one, other]] = matching[[other, one]]
        found.append(swapped)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_no_exchange_is_faster_than_the_result(seed: int) -> None:
    chance = np.random.default_rng(seed)
    blocks = int(chance.integers(1, 7))
    each = problem(chance, blocks + int(chance.integers(0, 3)), blocks, by_block=bool(seed % 2))
    start = each.allocation(random_matching(each.seconds, seed=seed).blocks)
    found = exchanged(each, start)
    assert found.round_time <= start.round_time
    for matching in _neighbours(found.matching, len(each.seconds)):
        if np.isfinite(of_matching(each.seconds, matching)).all():
            assert each.shared(matching).round_time >= found.round_time * (1 - 1e-9)


def test_an_optimum_is_left_as_it_is() -> None:
    for each in small(np.random.default_rng(0), 40):
        best = exact(each)
        assert exchanged(each, best).round_time == pytest.approx(best.round_time, rel=1e-12)
