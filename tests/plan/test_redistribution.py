"""What moves between ranks so that each has its own examples whole."""

import random

import numpy as np
import pytest

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.redistribution import Holding, held_by, transfers, uncovered


def holding(rank: int, layers: range, *examples: int) -> Holding:
    return Holding(rank, layers, np.array(sorted(examples), dtype=np.int64))


def all_of(count: int) -> np.ndarray:
    return np.arange(count)


def whole(owners: list[int], layers: range) -> list[Holding]:
    """Every rank is to have all layers of what it owns."""
    mine = {rank: [e for e, o in enumerate(owners) if o == rank] for rank in set(owners)}
    return [holding(rank, layers, *examples) for rank, examples in mine.items()]


def test_a_pipelines_layers_come_together_at_the_owner() -> None:
    holdings = [holding(0, range(2), 0, 1, 2), holding(1, range(2, 5), 0, 1, 2)]
    moved = transfers(holdings, whole([0, 1, 0], range(5)))
    assert [(t.source, t.dest, t.layers, t.examples.tolist()) for t in moved] == [
        (1, 0, range(2, 5), [0, 2]),
        (0, 1, range(2), [1]),
    ]


def test_stages_that_are_replayed_get_their_layers_and_no_others() -> None:
    holdings = [holding(0, range(5), 0, 2), holding(1, range(5), 1, 3)]
    wanted = [holding(0, range(2), 0, 1, 2, 3), holding(1, range(2, 5), 0, 1, 2, 3)]
    moved = transfers(holdings, wanted)
    assert [(t.source, t.dest, t.examples.tolist()) for t in moved] == [
        (1, 0, [1, 3]),
        (0, 1, [0, 2]),
    ]
    assert transfers(wanted, wanted) == ()


def test_whole_replicas_at_home_move_nothing() -> None:
    holdings = [holding(0, range(3), 0, 2), holding(1, range(3), 1, 3)]
    assert transfers(holdings, whole([0, 1, 0, 1], range(3))) == ()
    assert len(transfers(holdings, whole([1, 0, 1, 0], range(3)))) == 2


def test_an_example_that_some_layer_lacks_everywhere_is_named() -> None:
    holdings = [holding(0, range(2), 0, 1, 2), holding(1, range(2, 5), 0, 2)]
    assert uncovered(holdings, all_of(4), range(5)).tolist() == [1, 3]
    assert uncovered(holdings, np.array([0, 2]), range(5)).tolist() == []
    assert uncovered([], all_of(2), range(5)).tolist() == [0, 1]
    assert uncovered([], all_of(0), range(5)).tolist() == []


def test_records_beyond_the_wanted_do_no_harm() -> None:
    holdings = [holding(0, range(5), 0, 1, 70), holding(1, range(5), 99)]
    assert uncovered(holdings, all_of(2), range(5)).tolist() == []
    assert transfers(holdings, whole([1, 0], range(5)))[0].examples.tolist() == [0]
    assert uncovered([holding(0, range(3, 9), 0)], all_of(1), range(5)).tolist() == [0]


def test_what_a_plan_records_and_what_each_rank_then_needs() -> None:
    top = Stage(2, range(2, 5))
    hybrid = PartitionPlan(((Stage(0, range(2)), top), (Stage(1, range(2)), top)), (0, 1, 0))
    batches = [(4, 1), (0,), (2,), (3,), (), (5,)]
    assert _held(hybrid, batches) == [
        (0, range(2), [1, 2, 3, 4, 5]),
        (1, range(2), [0]),
        (2, range(2, 4), [0, 1, 2, 3, 4, 5]),
    ]
    replay = PartitionPlan(tuple((Stage(r, range(5)),) for r in range(3)), (2, 1, 0))
    assert _held(replay, batches) == [
        (0, range(4), [2, 5]),
        (1, range(4), [0]),
        (2, range(4), [1, 3, 4]),
    ]
    cut = PartitionPlan(((Stage(0, range(4)), Stage(1, range(4, 5))),), (0,))
    assert [rank for rank, *_ in _held(cut, [(0,)])] == [0]


def _held(
    plan: PartitionPlan, batches: list[tuple[int, ...]]
) -> list[tuple[int, range, list[int]]]:
    return [(h.rank, h.layers, h.examples.tolist()) for h in held_by(plan, batches, range(4))]


@pytest.mark.parametrize("seed", range(60))
def test_every_rank_ends_with_all_it_wants_that_exists_and_nothing_comes_twice(seed: int) -> None:
    draw = random.Random(seed)
    ranks, layers, count = draw.randrange(1, 5), draw.randrange(1, 7), draw.randrange(1, 30)

    def drawn(times: int) -> list[Holding]:
        found = []
        for rank in range(ranks):
            for _ in range(draw.randrange(times)):
                start = draw.randrange(layers)
                run = range(start, draw.randrange(start, layers) + 1)
                chosen = draw.sample(range(count), draw.randrange(count + 1))
                found.append(holding(rank, run, *chosen))
        return found

    holdings = drawn(3)
    owners = [draw.randrange(ranks) for _ in range(count)]
    wanted = whole(owners, range(layers)) if seed % 2 else drawn(2)
    asked = {(h.rank, int(e), i) for h in wanted for e in h.examples for i in h.layers}
    has = {(h.rank, int(e), i) for h in holdings for e in h.examples for i in h.layers}
    moved = transfers(holdings, wanted)
    for one in moved:
        assert one.source != one.dest
        for e in map(int, one.examples):
            assert all((one.source, e, i) in has for i in one.layers)
            assert any({(one.dest, e, i)} & asked - has for i in one.layers)
            has |= {(one.dest, e, i) for i in one.layers}
    exists = {(e, i) for _, e, i in has}
    assert all(each in has for each in asked if each[1:] in exists)
    complete = {e for e in range(count) if all((e, i) in exists for i in range(layers))}
    assert set(uncovered(holdings, all_of(count), range(layers)).tolist()) == (
        set(range(count)) - complete
    )
