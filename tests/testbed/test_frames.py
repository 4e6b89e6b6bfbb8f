"""The switch's times."""

import pytest

from mpiedge.testbed.frames import BACKLOG, HEADER, Line, Switch, wire_bytes

A, B, C = b"\1" * 6, b"\2" * 6, b"\3" * 6
ALL = b"\xff" * 6


def frame(target: bytes, source: bytes, size: int = 1000) -> bytes:
    return b"\0" * HEADER + target + source + b"x" * (size - 12)


def switch(*lines: tuple[float, float]) -> Switch:
    return Switch([Line(*line) for line in lines])


def leaves(row: Switch) -> list[tuple[float, int]]:
    """When and where each frame leaves."""
    found = []
    while (when := row.next_due()) is not None:
        found += [(round(when, 6), port) for port, _ in row.due(when)]
    return found


def test_an_address_that_is_not_known_is_sought_everywhere_else() -> None:
    row = switch((1e6, 0.0), (1e6, 0.0), (1e6, 0.0))
    row.take(frame(B, A), 0, 0.0)
    assert [port for _, port in leaves(row)] == [1, 2]
    row.take(frame(A, B), 1, 1.0)
    row.take(frame(B, A), 0, 2.0)
    assert [port for _, port in leaves(row)] == [0, 1]
    row.take(frame(ALL, A), 0, 3.0)
    assert [port for _, port in leaves(row)] == [1, 2]


def test_a_frame_takes_its_time_and_the_delay() -> None:
    row = switch((1e6, 0.01), (1e6, 0.03))
    row.take(frame(B, A), 0, 5.0)
    assert leaves(row) == [(5.0 + 1e-3 + 0.02, 1)]
    assert row.due(4.0) == []


def test_frames_of_a_sender_queue_at_its_rate() -> None:
    row = switch((1e6, 0.0), (1e8, 0.0))
    for _ in range(3):
        row.take(frame(B, A), 0, 0.0)
    assert leaves(row) == [(0.001, 1), (0.002, 1), (0.003, 1)]


def test_two_senders_share_the_receivers_link() -> None:
    row = switch((1e6, 0.0), (1e6, 0.0), (1e6, 0.0))
    row.take(frame(C, C), 2, 0.0)
    leaves(row)
    for port, source in ((0, A), (1, B), (0, A), (1, B)):
        row.take(frame(C, source), port, 1.0)
    assert [when for when, _ in leaves(row)] == pytest.approx([1.001, 1.002, 1.003, 1.004])


def test_a_slow_receiver_decides() -> None:
    row = switch((1e6, 0.0), (1e5, 0.0))
    row.take(frame(B, B), 1, 0.0)
    leaves(row)
    row.take(frame(B, A), 0, 1.0)
    row.take(frame(B, A), 0, 1.0)
    first, second = (when for when, _ in leaves(row))
    assert second - first == pytest.approx(0.01)


def test_a_full_uplink_takes_nothing_until_it_has_room() -> None:
    row = switch((1e4, 0.0), (1e4, 0.0))
    assert row.accepts(0, 0.0)
    row.take(frame(B, A), 0, 0.0)
    assert not row.accepts(0, 0.0)
    assert row.accepts(1, 0.0)
    assert row.accepts(0, 0.1 - BACKLOG + 0.001)


def test_frames_of_one_time_leave_in_their_order() -> None:
    row = switch((1e6, 0.0), (1e6, 0.0))
    row.take(frame(B, A, 500), 0, 0.0)
    row.take(frame(B, A, 600), 0, 0.0)
    assert [len(each) - HEADER for _, each in row.due(1.0)] == [500, 600]


def test_a_large_frame_has_the_headers_of_the_small_ones() -> None:
    assert wire_bytes(1514) == 1514 + 66
    assert wire_bytes(100) == 100
    assert wire_bytes(15140) == 15140 + 660
