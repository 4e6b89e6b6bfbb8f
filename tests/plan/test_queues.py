"""What a rank could do first, while time and windows change."""

import random
from math import inf

from mpiedge.plan.queues import Gate, Line, Order, Queue, Start


def _start(time: float, turn: int = 1, above: int = 0, number: int = 0) -> Start:
    return Start(time, Order(turn, above, number))


def test_of_what_has_come_the_order_decides_and_of_what_comes_the_time() -> None:
    line = Line()
    for start in (_start(3.0, turn=0), _start(1.0, turn=2), _start(2.0, turn=1)):
        line.add(start)
    assert line.first(0.0) == _start(1.0, turn=2)
    assert line.first(2.0) == _start(2.0, turn=1)
    line.pop()
    assert line.first(2.5) == _start(2.5, turn=2)
    assert line.first(4.0) == _start(4.0, turn=0)


def test_a_line_against_looking_at_everything() -> None:
    for seed in range(200):
        chance, free = random.Random(seed), 0.0
        line, waiting = Line(), set[Start]()
        for number in range(30):
            if chance.random() < 0.6:
                one = _start(chance.randint(0, 20) / 2, chance.randint(0, 2), number=number)
                line.add(one)
                waiting.add(one)
            free += chance.choice([0.0, 0.5, 1.0])
            now = {Start(max(free, one.time), one.order): one for one in waiting}
            assert line.first(free) == min(now, default=None)
            if now and chance.random() < 0.7:
                line.pop()
                waiting.remove(now[min(now)])


def test_a_gate_lets_in_as_many_as_its_window_has() -> None:
    gate = Gate(1)
    gate.arrive(_start(0.0, number=0), 0)
    gate.arrive(_start(0.0, number=1), 0)
    assert gate.first(0.0) == _start(0.0, number=0)
    gate.pop()
    assert gate.first(0.0) is None
    gate.leave()
    assert gate.first(1.0) == _start(1.0, number=1)


def test_a_gate_lets_no_batch_pass_before_the_one_before() -> None:
    gate = Gate(inf)
    gate.arrive(_start(0.0, number=2), before=2)
    assert gate.first(0.0) is None
    for number in (0, 1):
        gate.arrive(_start(0.0, number=number), 0)
    for number in (0, 1, 2):
        assert gate.first(0.0) == _start(0.0, number=number)
        gate.pop()
    assert gate.first(0.0) is None


def test_a_rank_takes_the_first_of_its_line_and_its_gates() -> None:
    queue = Queue()
    queue.gates += [Gate(1), Gate(1)]
    queue.gates[0].arrive(_start(0.0, turn=2), 0)
    queue.gates[1].arrive(_start(0.0, turn=2, above=-3), 0)
    queue.line.add(_start(1.0, turn=0))
    assert queue.first() == _start(0.0, turn=2, above=-3)
    queue.pop()
    queue.free = 1.0
    assert queue.first() == _start(1.0, turn=0)
    queue.pop()
    assert queue.first() == _start(1.0, turn=2)
    queue.pop()
    assert queue.first() is None
