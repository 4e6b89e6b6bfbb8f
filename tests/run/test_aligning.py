"""Clocks that differ, read against each other."""

import time

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.run.aligning import Reading, moved, reading


def test_a_clock_that_is_behind_is_found_out() -> None:
    found: dict[int, Reading] = {}

    def body(transport: ThreadTransport) -> None:
        behind = 100.0 * transport.rank
        found[transport.rank] = reading(transport, lambda: time.perf_counter() - behind)
        transport.close()

    run_ranks(3, body, timeout=20)
    assert found[0][1:] == (0.0, 0.0)
    for rank in (1, 2):
        assert abs(found[rank].ahead - 100.0 * rank) <= found[rank].within
        assert 0 < found[rank].within < 1


def test_between_two_readings_clocks_drift_evenly() -> None:
    first, last = Reading(100.0, 5.0, 0.0), Reading(200.0, 6.0, 0.0)
    assert [moved(t, first, last) for t in (100.0, 150.0, 200.0)] == pytest.approx(
        [105.0, 155.5, 206.0]
    )
    assert moved(3.0, first, first) == 8.0
