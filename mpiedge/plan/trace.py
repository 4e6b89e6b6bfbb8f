"""A timeline as a Chrome trace: what Perfetto and chrome://tracing open.

One row a rank, one slice a pass, and a counter of the bytes that each rank keeps between its
forward and backward passes.  Format: "Trace Event Format" of the Chromium project, with times in
microseconds.
"""

from typing import Any

from mpiedge.plan.prediction import Part, Prediction, kept_over_time
from mpiedge.plan.timeline import Pass, Span

_MICRO = 1e6
_NAMES = {Pass.FORWARD: "forward", Pass.BACKWARD: "backward", Pass.UPDATE: "update"}


def trace(part: Part, found: Prediction) -> dict[str, Any]:
    """The trace as plain values, to be written as JSON."""
    events: list[dict[str, Any]] = []
    for rank, spans in found.timeline.by_rank.items():
        events.append(
            {
                "name": "thread_name",
                "ph": "M",
                "pid": 0,
                "tid": rank,
                "args": {"name": f"rank {rank}"},
            }
        )
        events += [_slice(part, span) for span in spans]
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
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _slice(part: Part, span: Span) -> dict[str, Any]:
    action = span.action
    facts: dict[str, Any] = {"batch": action.number}
    if action.which is not Pass.UPDATE:
        stage = part.plan.route(action.number)[action.stage]
        facts = {
            "batch": action.number // len(part.plan.micro_batches),
            "micro-batch": action.number % len(part.plan.micro_batches),
            "layers": f"{stage.layers.start}..{stage.layers.stop - 1}",
        }
    return {
        "name": str(action),
        "cat": _NAMES[action.which],
        "ph": "X",
        "pid": 0,
        "tid": span.rank,
        "ts": span.start * _MICRO,
        "dur": (span.end - span.start) * _MICRO,
        "args": facts,
    }
