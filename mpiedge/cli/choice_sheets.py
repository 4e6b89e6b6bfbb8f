"""The strategies for a run as a table for people, and what keeps the others from being run."""

from collections.abc import Sequence

from mpiedge.doctor.table import Sheet
from mpiedge.run.choosing import Candidate
from mpiedge.run.foresight import Foresight

_MIB = 2**20


def sheets(found: Sequence[Candidate]) -> list[Sheet]:
    """Those that fit, the fastest first."""
    head = ("strategy", "run, s", "first epoch", "last epoch", "fullest rank", "sent, MiB", "disk")
    rows = (
        (one.strategy, *_row(one.foresight)) for one in found if one.foresight and not one.trouble
    )
    return [Sheet("Strategies that fit, the fastest first", head, tuple(rows))]


def notes(found: Sequence[Candidate]) -> list[str]:
    """A line for each strategy that does not."""
    return [
        f"{one.strategy}: {one.trouble}"
        + (f"; nearest that fits: {one.remedy}" if one.remedy else "")
        for one in found
        if one.trouble
    ]


def _row(one: Foresight) -> tuple[str, ...]:
    fullest = max(one.seats, key=lambda seat: seat.memory.total / max(1, seat.device.memory))
    sent = sum(amount.bytes for epoch in one.forecast.epochs for amount in epoch.sent.values())
    return (
        f"{one.forecast.seconds:.1f}",
        f"{one.first.seconds:.1f}",
        f"{one.last.seconds:.1f}",
        f"{fullest.rank}: {fullest.memory.total / _MIB:.0f} of "
        f"{fullest.device.memory / _MIB:.0f} MiB",
        f"{sent / _MIB:.1f}",
        f"{sum(seat.disk for seat in one.seats) / _MIB:.1f}",
    )
