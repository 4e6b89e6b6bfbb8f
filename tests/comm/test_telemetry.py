"""What is known of another rank, on made-up signs of life."""

import time

from mpiedge.comm.ledger import Ledger
from mpiedge.comm.signs import COMPUTING, Sign
from mpiedge.comm.tag import Kind
from mpiedge.comm.telemetry import SILENT, Reading, State, Telemetry

FAR = Reading(at=1, examples=2, memory=3, sent=4, received=5)


def test_ones_own_reading_is_of_now() -> None:
    ledger = Ledger()
    telemetry = Telemetry(1, ledger, [COMPUTING] * 2, {0: FAR}.get)
    ledger.note_sent(Kind.ACTIVATION, 0, 70)
    ledger.note_sent(Kind.LABELS, 0, 7)
    ledger.note_received(Kind.GRADIENT, 0, 90)
    telemetry.examples += 12
    mine = telemetry.reading(1)
    assert mine is not None
    assert (mine.examples, mine.sent, mine.received) == (12, 77, 90)
    assert mine.memory > 2**20
    later = telemetry.mine()
    assert later.at >= mine.at
    assert telemetry.reading(0) == FAR


def test_a_rank_that_has_not_spoken_yet() -> None:
    assert Telemetry(0, Ledger(), [COMPUTING] * 2, {}.get).reading(1) is None


def test_states() -> None:
    now = time.monotonic()
    signs = [
        COMPUTING,
        Sign(now, now, (2,)),
        Sign(now, now, (0, 1, 3)),
        Sign(now - SILENT - 5, now, (0,)),
    ]
    telemetry = Telemetry(0, Ledger(), signs, {}.get)
    assert [str(telemetry.state(rank)) for rank in range(3)] == [
        "computes",
        "waits for rank 2",
        "waits for rank 0 and 2 more",
    ]
    assert telemetry.state(3).silent > SILENT
    assert str(State((0,), 15.2)) == "silent for 15 s"
