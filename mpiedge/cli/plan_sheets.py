"""A run that has not begun, as tables for people: its layout, its ranks, its time and its links."""

from mpiedge.cli.round_sheets import notes as round_notes
from mpiedge.cli.round_sheets import sheets as round_sheets
from mpiedge.doctor.table import Sheet
from mpiedge.plan.prediction import Amount
from mpiedge.run.foresight import Foresight, Seat
from mpiedge.strategy.forecast import add
from mpiedge.strategy.layout import layout
from mpiedge.strategy.strategy import Phase, Source

_MIB = 2**20

Rows = tuple[tuple[str, ...], ...]


def sheets(one: Foresight) -> list[Sheet]:
    """The tables, in the order in which they are read."""
    found = [_layout(one), _ranks(one)]
    if one.first.sent:
        found.append(_links(one))
    return [*found, *(round_sheets(one.round) if one.round else ())]


def notes(one: Foresight) -> list[str]:
    """Time, disk and what does not fit, in sentences."""
    lines = [_time(one)] if one.forecast.epochs else []
    if stored := sum(seat.disk for seat in one.seats):
        lines.append(f"disk: at most {stored / _MIB:.1f} MiB in all for what is kept")
    if one.trouble and not one.round:
        lines.append(f"does not fit: {one.trouble}")
    return [*lines, *(round_notes(one.round) if one.round else ())]


def _time(one: Foresight) -> str:
    count = len(one.forecast.epochs)
    later = f", the last {one.last.seconds:.1f} s" if count > 1 else ""
    epochs = "1 epoch" if count == 1 else f"{count} epochs"
    before = one.forecast.before.seconds
    recording = f"recording {before:.1f} s, " if before else ""
    return (
        f"time: {one.forecast.seconds:.1f} s for {epochs}, {one.clock.steps} updates; {recording}"
        f"the first epoch {one.first.seconds:.1f} s{later}"
    )


def _layout(one: Foresight) -> Sheet:
    """The phases' rows; neighbours that look alike are one, with the updates of all of them."""
    found: list[tuple[int, Rows]] = []
    for phase in one.phases:
        rows = _phase(phase)
        if not phase.batches and not phase.beforehand:
            continue
        before = found.pop()[0] if found and found[-1][1] == rows else 0
        found.append((before + phase.batches, rows))
    head = ("updates", "model", "layers", "ranks", "share of micro-batches")
    lines = (
        ("" if place else str(count or "before"), *row)
        for count, rows in found
        for place, row in enumerate(rows)
    )
    return Sheet("Layout", head, tuple(lines))


_SOURCES = {
    Source.COMPUTE: "computed",
    Source.RECORD: "computed, kept",
    Source.REPLAY: "read back",
}


def _phase(phase: Phase) -> Rows:
    feeders = () if phase.source is Source.REPLAY else phase.feeders
    rows = [("beside", _run(stage.layers), str(stage.rank), "its own data") for stage in feeders]
    if phase.rounds:
        return tuple(rows)
    source = _SOURCES[phase.source]
    for held in layout(phase.plan):
        ranks = ", ".join(map(str, held.shares))
        shares = ", ".join(f"{share:.0%}" for share in held.shares.values())
        rows.append((source, _run(held.layers), ranks, shares))
        source = ""
    return tuple(rows)


def _ranks(one: Foresight) -> Sheet:
    head = ("rank", "host", "speed", "frozen", "tuned", "gradients", "moments", "in flight")
    more = ("working", "all, MiB", "budget", "busy, s: first", "last epoch", "disk, MiB")
    return Sheet(
        "Ranks: memory by kind where each needs most, MiB",
        head + more,
        tuple(_seat(one, seat) for seat in one.seats),
    )


def _seat(one: Foresight, seat: Seat) -> tuple[str, ...]:
    kinds = (f"{size / _MIB:.1f}" for size in (*seat.memory, seat.memory.total))
    budget = f"{seat.device.memory / _MIB:.0f}"
    busy = (f"{epoch.busy.get(seat.rank, 0.0):.1f}" for epoch in (one.first, one.last))
    return (
        str(seat.rank),
        seat.host,
        f"{seat.device.speed:.2f}",
        *kinds,
        budget,
        *busy,
        f"{seat.disk / _MIB:.1f}",
    )


def _links(one: Foresight) -> Sheet:
    first = add(one.forecast.before.sent, one.first.sent)
    ways = sorted({*first, *one.last.sent})
    rows = (
        (
            f"{way.source} to {way.dest}",
            way.what.value,
            *_amount(first.get(way, Amount())),
            *_amount(one.last.sent.get(way, Amount())),
        )
        for way in ways
    )
    head = ("ranks", "what", "messages: first", "MiB", "messages: last epoch", "MiB")
    return Sheet("Links", head, tuple(rows))


def _amount(amount: Amount) -> tuple[str, str]:
    return str(amount.messages), f"{amount.bytes / _MIB:.2f}"


def _run(layers: range) -> str:
    last = layers.stop - 1
    return f"{layers.start}..{last}" if last > layers.start else str(last)
