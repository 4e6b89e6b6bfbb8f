"""Who goes next among several ranks."""

from mpiedge.plan.board import Board
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.places import ONE_F_ONE_B, places
from mpiedge.plan.queues import Order, Start

ROUTE = (Stage(0, range(1)), Stage(1, range(1, 2)))
LOW, TOP = places(PartitionPlan((ROUTE,), (0,)), ONE_F_ONE_B)[0]


def _start(time: float, number: int = 0) -> Start:
    return Start(time, Order(1, 0, number))


def test_the_earliest_is_drawn_first_whoever_has_it() -> None:
    board = Board([LOW, TOP])
    board.add(0, _start(2.0))
    board.add(1, _start(1.0))
    assert board.draw() == (_start(1.0), 1)
    assert board.draw() == (_start(2.0), 0)
    assert board.draw() is None


def test_what_comes_up_later_goes_before_what_was_first() -> None:
    board = Board([LOW, TOP])
    board.add(0, _start(2.0))
    board.add(1, _start(3.0))
    assert board.draw() == (_start(2.0), 0)
    board.busy(0, 2.5)
    board.add(1, _start(1.0, number=1))
    assert board.draw() == (_start(1.0, number=1), 1)
    assert board.draw() == (_start(3.0), 1)


def test_a_busy_rank_starts_later_and_is_overtaken() -> None:
    board = Board([LOW, TOP])
    board.add(0, _start(0.0))
    board.add(0, _start(0.0, number=1))
    assert board.draw() == (_start(0.0), 0)
    board.busy(0, 5.0)
    board.add(1, _start(4.0))
    assert board.draw() == (_start(4.0), 1)
    assert board.draw() == (_start(5.0, number=1), 0)


def test_a_full_slot_has_to_be_left_first() -> None:
    board = Board([LOW, TOP])
    for number in (0, 1):
        board.arrive(TOP.slot, _start(0.0, number), before=0)
    assert board.draw() == (_start(0.0), 1)
    assert board.draw() is None
    board.leave(TOP.slot)
    assert board.draw() == (_start(0.0, number=1), 1)


def test_a_place_that_several_routes_have_is_one_gate() -> None:
    board = Board([TOP, TOP])
    for number in (0, 1):
        board.arrive(TOP.slot, _start(0.0, number), before=0)
    assert board.draw() == (_start(0.0), 1)
    assert board.draw() is None
