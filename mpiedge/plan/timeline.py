"""What ran when: actions, their spans, and the schedule that follows from them.

A timeline is a value: it prints, compares, and can be drawn before anything has run.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple


class Pass(str, Enum):
    """What an action computes."""

    FORWARD = "F"
    BACKWARD = "B"
    UPDATE = "U"


class Action(NamedTuple):
    """One pass of one micro-batch at one stage, written ``2F0``; or the update of a batch, ``U0``.

    For an update ``stage`` is the rank and ``number`` the batch.
    """

    stage: int
    which: Pass
    number: int

    def __str__(self) -> str:
        stage = "" if self.which is Pass.UPDATE else self.stage
        return f"{stage}{self.which.value}{self.number}"


class Span(NamedTuple):
    """An action and when it ran."""

    action: Action
    rank: int
    start: float  # seconds
    end: float  # seconds


Schedule = dict[int, tuple[Action, ...]]


@dataclass(frozen=True)
class Timeline:
    """The predicted spans of some batches, in the order in which they start."""

    spans: tuple[Span, ...]

    @property
    def makespan(self) -> float:
        """Seconds from the first action to the end of the last."""
        return max(span.end for span in self.spans)

    @cached_property
    def by_rank(self) -> dict[int, tuple[Span, ...]]:
        """Each rank's spans in order."""
        spans: dict[int, list[Span]] = {}
        for span in self.spans:
            spans.setdefault(span.rank, []).append(span)
        return {rank: tuple(spans[rank]) for rank in sorted(spans)}

    @cached_property
    def schedule(self) -> Schedule:
        """Each rank's actions in order."""
        return {rank: tuple(s.action for s in spans) for rank, spans in self.by_rank.items()}

    def lasting(self, batches: int = 1) -> float:
        """Seconds of the last so many batches, of which there are more, from end to end.

        What a batch takes once those stages that wait for no update have gone ahead.
        """
        ends: dict[int, float] = {}
        for span in self.spans:
            if span.action.which is Pass.UPDATE:
                ends[span.action.number] = max(span.end, ends.get(span.action.number, 0.0))
        return max(ends.values()) - sorted(ends.values())[-1 - batches]

    def busy(self, rank: int) -> float:
        """Seconds that a rank computes."""
        return sum(span.end - span.start for span in self.by_rank.get(rank, ()))


def draw(timeline: Timeline, tick: float = 1.0) -> str:
    """A grid of ranks and time, as text: four characters a tick."""
    lines = []
    for rank, spans in timeline.by_rank.items():
        line = ""
        for span in spans:
            line = line.ljust(4 * round(span.start / tick)) + f"{span.action!s:<4}"
        lines.append(f"rank {rank} |{line}".rstrip())
    return "\n".join(lines)
