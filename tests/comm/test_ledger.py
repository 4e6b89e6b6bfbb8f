import threading

from mpiedge.comm.ledger import Count, Ledger, both, total, without
from mpiedge.comm.tag import Kind


def test_traffic_is_kept_by_kind_and_peer() -> None:
    ledger = Ledger()
    ledger.note_sent(Kind.ACTIVATION, 1, 100)
    ledger.note_sent(Kind.ACTIVATION, 1, 50)
    ledger.note_sent(Kind.ACTIVATION, 2, 1)
    ledger.note_received(Kind.GRADIENT, 1, 7)
    assert ledger.sent() == {(Kind.ACTIVATION, 1): (2, 150), (Kind.ACTIVATION, 2): (1, 1)}
    assert ledger.received() == {(Kind.GRADIENT, 1): (1, 7)}
    assert total(ledger.sent()) == Count(3, 151)
    assert total({}) == Count(0, 0)


def test_what_is_read_does_not_change_afterwards() -> None:
    ledger = Ledger()
    before = ledger.sent()
    ledger.note_sent(Kind.LOSS, 0, 8)
    assert before == {}


def test_a_sum_counts_as_twice_around_the_ring() -> None:
    ledger = Ledger()
    ledger.note_sum(2, (0, 2, 3), 300)
    assert ledger.sent() == {(Kind.COLLECTIVE, 3): (1, 400)}
    assert ledger.received() == {(Kind.COLLECTIVE, 0): (1, 400)}


def test_threads_may_count_at_once() -> None:
    ledger = Ledger()

    def note() -> None:
        for _ in range(500):
            ledger.note_sent(Kind.LOSS, 0, 2)

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.sent() == {(Kind.LOSS, 0): (2000, 4000)}


def test_what_came_later_and_both_together() -> None:
    earlier = {(Kind.LOSS, 0): Count(1, 5), (Kind.LOSS, 1): Count(2, 6)}
    later = {(Kind.LOSS, 0): Count(4, 9), (Kind.LOSS, 1): Count(2, 6), (Kind.ENTRY, 1): Count(1, 1)}
    rest = without(later, earlier)
    assert rest == {(Kind.LOSS, 0): Count(3, 4), (Kind.ENTRY, 1): Count(1, 1)}
    assert both(earlier, rest) == later
