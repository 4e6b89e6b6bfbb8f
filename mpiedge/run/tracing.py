"""The real timeline of a run, in the format in which ``mpiedge simulate`` writes the predicted one.

Every rank keeps its own spans; at the end they come to rank 0 in its clock's time, and there become
one file.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import gather
from mpiedge.comm.waiting import Waiting
from mpiedge.pipeline.spans import Doing, Noted, Spans, read
from mpiedge.plan.trace import Event, Slice, named, sliced, whole
from mpiedge.run.aligning import Reading, moved, reading
from mpiedge.run.opening import Opened
from mpiedge.run.output import replace_text

FILE = "trace.json"

_LETTERS = {
    Doing.FORWARD: "F",
    Doing.BACKWARD: "B",
    Doing.UPDATE: "U",
    Doing.EVALUATION: "E",
    Doing.FRONT: "front",
}
_SPANS = Tag(Kind.VALUE)


class Row(NamedTuple):
    """A rank's spans on rank 0, by rank 0's clock."""

    rank: int
    spans: Sequence[Noted]
    words: Sequence[str]  # what waits were for
    lost: int  # spans that there was no room for
    within: float  # seconds that its times can be off


class Tracing:
    """The record of a run, from ``begin`` to ``finish``, which all ranks call."""

    def __init__(self, transport: Transport, spans: Spans, began: Reading) -> None:
        self._transport, self._spans, self._began = transport, spans, began

    def finish(self, folder: Path) -> None:
        """Bring all spans to rank 0, which writes them into ``folder``."""
        rows = rows_of(self._transport, self._spans, self._began)
        if rows:
            replace_text(folder / FILE, json.dumps(as_trace(rows)) + "\n")


def begin(opened: Opened) -> tuple[Opened, Tracing]:
    """The same run with its spans kept from here on."""
    spans, bare = Spans(), opened.transport
    began = reading(bare)
    watched = replace(opened, transport=Waiting(bare, spans.waited), spans=spans)
    return watched, Tracing(bare, spans, began)


def rows_of(transport: Transport, spans: Spans, began: Reading) -> list[Row]:
    """The spans of all ranks, on rank 0; elsewhere nothing."""
    ended = reading(transport)
    mine = [
        one._replace(start=moved(one.start, began, ended), end=moved(one.end, began, ended))
        for one in read(spans.numbers)
    ]
    told = gather(transport, [spans.words, spans.lost, max(began.within, ended.within)])
    transport.send([torch.tensor(mine, dtype=torch.float64)], 0, _SPANS)
    if told is None:
        return []
    every = [transport.recv(rank, _SPANS)[0] for rank in range(transport.size)]
    return [
        Row(rank, tuple(read(numbers.flatten().tolist())), *told[rank])
        for rank, numbers in enumerate(every)
    ]


def as_trace(rows: Sequence[Row]) -> dict[str, Any]:
    """The trace as plain values, from the first span of all on."""
    start = min((span.start for row in rows for span in row.spans), default=0.0)
    events = [event for row in rows for event in _events(row, start, len(rows))]
    return whole(
        events,
        otherData={
            "lost": sum(row.lost for row in rows),
            "clocks_within_seconds": max((row.within for row in rows), default=0.0),
        },
    )


def _events(row: Row, start: float, ranks: int) -> Iterator[Event]:
    yield named(row.rank, f"rank {row.rank}")
    # What waits in the background need not fit into the actions, as slices of a row have to.
    beside = ranks + row.rank
    if any(span.doing is Doing.BACKGROUND for span in row.spans):
        yield named(beside, f"rank {row.rank}, in the background")
    for span in row.spans:
        one = _slice(row, span._replace(start=span.start - start, end=span.end - start))
        yield sliced(beside if span.doing is Doing.BACKGROUND else row.rank, one)


def _slice(row: Row, span: Noted) -> Slice:
    if span.doing in (Doing.WAIT, Doing.BACKGROUND):
        return Slice("wait", "wait", span.start, span.end, {"for": row.words[span.number]})
    facts: dict[str, Any] = {} if span.batch < 0 else {"batch": span.batch}
    if span.doing is not Doing.UPDATE:
        facts["layers"] = f"{span.first}..{span.last}"
    return Slice(_name(span), span.doing.name.lower(), span.start, span.end, facts)


def _name(span: Noted) -> str:
    """As an action is written: ``2F0``; what is beside the schedule has only its letter."""
    letter = _LETTERS[span.doing]
    stage = "" if span.doing is Doing.UPDATE or span.stage < 0 else str(span.stage)
    return f"{stage}{letter}" + (str(span.number) if span.number >= 0 else "")
