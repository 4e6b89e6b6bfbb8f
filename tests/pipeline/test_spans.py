"""What a rank did, kept as numbers."""

import threading

import torch

from mpiedge.pipeline.portion import MicroBatch, Portion
from mpiedge.pipeline.spans import Doing, Noted, Spans, read
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import simulate

ROUTE = (Stage(0, range(2), frozenset({1})), Stage(1, range(2, 5), frozenset({3})))
PLAN = PartitionPlan((ROUTE,), (0, 0))


class Heard:
    def __init__(self) -> None:
        self.results: list[int] = []
        self.actions = 0

    def result(self, number: int, value: torch.Tensor) -> None:
        self.results.append(number)

    def acted(self) -> None:
        self.actions += 1


def source(number: int) -> MicroBatch:
    raise AssertionError("nothing is computed here")


def kept(plan: PartitionPlan, rank: int) -> tuple[list[Noted], Heard]:
    """What is kept of a rank that does three batches, from the fifth on."""
    actions = simulate(plan, batches=3).schedule[rank]
    spans, heard = Spans(), Heard()
    monitor = spans.watching(Portion(plan, actions, 10, source), heard)
    for _ in actions:
        monitor.result(7, torch.zeros(()))
        monitor.acted()
    assert heard.actions == len(heard.results) == len(actions)
    return list(read(spans.numbers)), heard


def test_every_action_is_kept_in_its_order() -> None:
    found, _ = kept(PLAN, 1)
    actions = simulate(PLAN, batches=3).schedule[1]
    letters = {Doing.FORWARD: "F", Doing.BACKWARD: "B", Doing.UPDATE: "U"}
    assert [letters[one.doing] for one in found] == [a.which.value for a in actions]
    assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))
    passes = [one for one in found if one.doing is not Doing.UPDATE]
    assert {(one.stage, one.first, one.last) for one in passes} == {(1, 2, 4)}
    assert sorted({(one.number, one.batch) for one in passes}) == [
        (10 + n, 5 + n // 2) for n in range(6)
    ]
    updates = [one.number for one in found if one.doing is Doing.UPDATE]
    assert updates == [5, 6, 7]


def test_a_pass_that_trains_nothing_is_of_an_evaluation() -> None:
    found, _ = kept(PLAN.frozen(), 0)
    assert {one.doing for one in found} == {Doing.EVALUATION}


def test_waits_go_by_their_words_and_short_ones_go() -> None:
    spans = Spans()
    spans.waited("a sum", 1.0, 1.5)
    spans.waited("a sum", 1.5, 1.500001)
    spans.waited("labels", 2.0, 2.5)
    spans.waited("a sum", 3.0, 3.5)
    found = list(read(spans.numbers))
    assert [spans.words[one.number] for one in found] == ["a sum", "labels", "a sum"]
    assert [(one.start, one.end) for one in found] == [(1.0, 1.5), (2.0, 2.5), (3.0, 3.5)]
    other = threading.Thread(target=lambda: spans.waited("a sum", 4.0, 5.0))
    other.start()
    other.join()
    assert [one.doing for one in read(spans.numbers)] == [Doing.WAIT] * 3 + [Doing.BACKGROUND]


def test_no_more_is_kept_than_there_is_room_for() -> None:
    spans = Spans(most=2)
    for place in range(5):
        spans.note(Noted(Doing.FRONT, place, place + 1))
    assert [one.start for one in read(spans.numbers)] == [0.0, 1.0]
    assert spans.lost == 3
