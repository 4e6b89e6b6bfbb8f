"""CRUNCH against every matching, its check against scipy's matching, and what it says."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.depths import NotMonotone
from mpiedge.plan.matching import Matching, bottleneck, check, crunch, recount
from tests.plan.tables import matchings, memory, of_matching, rows


@pytest.mark.parametrize("seed", range(10))
def test_no_matching_is_faster(seed: int) -> None:
    chance, infeasible = np.random.default_rng(seed), 0
    for number in range(300):
        blocks, devices = int(chance.integers(1, 5)), int(chance.integers(1, 7))
        latency = rows(chance, devices, blocks)
        fits = memory(chance, devices, blocks) if number % 2 else latency >= 0
        seconds = np.where(fits, latency, np.inf)
        least = min(
            (of_matching(seconds, m).max() for m in matchings(devices, blocks)), default=9e9
        )
        if least < 9e9:
            found = crunch(latency, fits)
            assert len(set(found.blocks.tolist())) == blocks
            assert found.latency == of_matching(seconds, found.blocks).max() == least
        else:
            infeasible += 1
            with pytest.raises(Infeasible):
                crunch(latency, fits)
    assert 10 < infeasible < 200


@pytest.mark.parametrize("seed", range(5))
def test_the_check_says_whether_a_matching_exists(seed: int) -> None:
    chance, held = np.random.default_rng(100 + seed), 0
    for _ in range(200):
        blocks = int(chance.integers(1, 13))
        devices = blocks + int(chance.integers(0, 9))
        depth = np.minimum(chance.integers(0, blocks + 3, devices), blocks)
        edges = csr_matrix(np.arange(blocks) < depth[:, None])
        whole = bool((maximum_bipartite_matching(edges, perm_type="row") >= 0).all())
        assert check(recount(depth, blocks)) == whole
        held += whole
    assert 20 < held < 180


def test_recounting_counts_the_devices_of_each_block() -> None:
    assert recount(np.array([0, 3, 1, 3, 2]), 4).tolist() == [4, 3, 2, 0]


@pytest.mark.parametrize("seed", range(20))
def test_devices_that_differ_in_speed_alone_are_sorted(seed: int) -> None:
    chance = np.random.default_rng(seed)
    speed, work = chance.permutation(np.arange(1, 31)), np.sort(chance.uniform(1, 2, 20))
    found = crunch(work / speed[:, None])
    fastest = np.sort(speed)[-20:]
    assert found.latency == (work / fastest).max()


@pytest.mark.parametrize("seed", range(5))
def test_large_tables_agree_with_an_order_statistic(seed: int) -> None:
    # Block l has L - l devices within tau exactly if tau is at least its (L - l)-th fastest.
    chance = np.random.default_rng(seed)
    seconds = np.sort(chance.random((300, 80)), axis=1) * chance.uniform(0.5, 3, (300, 1))
    least = max(np.sort(seconds[:, block])[80 - block - 1] for block in range(80))
    found = crunch(seconds)
    assert found.latency == least == bottleneck(seconds)
    assert (of_matching(seconds, found.blocks) <= least).all()


def test_ties_of_all_edges_are_no_trouble() -> None:
    found = crunch(np.ones((5, 3)))
    assert found.latency == 1.0
    assert sorted(found.blocks.tolist()) == [0, 1, 2]


def test_the_answer_is_a_pair() -> None:
    blocks, latency = crunch([[1.0, 9.0], [2.0, 3.0]])
    assert (blocks.tolist(), latency) == ([0, 1], 3.0)
    assert isinstance(crunch([[1.0]]), Matching)


def test_a_deep_block_goes_to_the_only_device_with_memory() -> None:
    found = crunch([[1.0, 2.0], [5.0, 6.0]], [[True, False], [True, True]])
    assert (found.blocks.tolist(), found.latency) == ([0, 1], 6.0)


def test_a_falling_row_is_matched_by_its_running_maximum() -> None:
    with pytest.warns(NotMonotone):
        found = crunch([[5.0, 1.0], [2.0, 6.0]])
    assert (found.blocks.tolist(), found.latency) == ([1, 0], 5.0)


def test_a_block_that_no_device_can_hold_is_named() -> None:
    with pytest.raises(Infeasible, match="no device can hold block 1 of blocks 0 to 2; free"):
        crunch(np.ones((3, 3)), [[True, False, False]] * 3)


def test_blocks_that_too_few_devices_can_hold_are_named() -> None:
    fits = [[True, True, True], [True, False, False], [True, False, False]]
    with pytest.raises(
        Infeasible, match="blocks 1 to 2 need 2 devices of their own and only 1 can hold block 1"
    ):
        crunch(np.ones((3, 3)), fits)


def test_more_blocks_than_devices_are_refused() -> None:
    with pytest.raises(Infeasible, match="3 blocks are more than the 2 devices"):
        crunch(np.ones((2, 3)))


def test_negative_seconds_are_refused() -> None:
    with pytest.raises(BadInput, match="-1.0 s"):
        crunch([[-1.0, 2.0]])
