"""A timeline as a Chrome trace: what Perfetto and chrome://tracing open.

One row a rank, one slice a pass, and a counter of the bytes that each rank keeps between its
forward and backward passes.  Format: "Trace Event Format" of the Chromium project, with times in
microseconds.
"""

from typing import Any, NamedTuple

from mpiedge.plan.prediction import Part, Prediction, kept_over_time
from mpiedge.plan.timeline import Pass, Span

_MICRO = 1e6
_NAMES = {Pass.FORWARD: "forward", Pass.BACKWARD: "backward", Pass.UPDATE: "update"}

Event = dict[str, Any]


class Slice(NamedTuple):
    """Something that took a while."""

    name: str
    category: str
    start: float  # seconds
    end: float
    facts: dict[str, Any]


def trace(part: Part, found: Prediction) -> dict[str, Any]:
    """The trace of what was predicted, as plain values to be written as JSON."""
    events: list[Event] = []
    for rank, spans in found.timeline.by_rank.items():
        events.append(named(rank, f"rank {rank}"))
        events += [sliced(rank, _slice(part, span)) for span in spans]
        events += [
            {
                "name": f"kept, rank {rank}",
                "ph": "C",
                "pid": 0,
                "ts": when * _MICRO,
                "args": {"bytes": held},
            }
            for when, held in kept_over_time(part, spans)
        ]
    return whole(events)


def whole(events: list[Event], **facts: Any) -> dict[str, Any]:
    """A trace of these events; ``facts`` are said of all of it."""
    return {"traceEvents": events, "displayTimeUnit": "ms", **facts}


def named(row: int, name: str) -> Event:
    """The name of a row of slices."""
    return {"name": "thread_name", "ph": "M", "pid": 0, "tid": row, "args": {"name": name}}


def sliced(row: int, one: Slice) -> Event:
    """A slice in a row."""
    return {
        "name": one.name,
        "cat": one.category,
        "ph": "X",
        "pid": 0,
        "tid": row,
        "ts": one.start * _MICRO,
        "dur": (one.end - one.start) * _MICRO,
        "args": one.facts,
    }


def _slice(part: Part, span: Span) -> Slice:
    action = span.action
    facts: dict[str, Any] = {"batch": action.number}
    if action.which is not Pass.UPDATE:
        stage = part.plan.route(action.number)[action.stage]
        facts = {
            "batch": action.number // len(part.plan.micro_batches),
            "micro-batch": action.number % len(part.plan.micro_batches),
            "layers": f"{stage.layers.start}..{stage.layers.stop - 1}",
        }
    return Slice(str(action), _NAMES[action.which], span.start, span.end, facts)
