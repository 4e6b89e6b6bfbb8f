"""What a rank really did, and when: its actions and its waits, kept while a run goes on.

    actions   |F0|F1|..B0..|F2|..B1..|U0|      one after the other
    waits            ^^      ^^                within actions, or between them

Off unless somebody asks: an engine that is not watched does nothing more than its work.  Kept are
rows of numbers, 64 bytes a span, and no more of them than ``most``; what comes later is counted.
"""

import threading
import time
from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from torch import Tensor

from mpiedge.pipeline.engine import Monitor
from mpiedge.pipeline.portion import Portion
from mpiedge.plan.timeline import Action, Pass

_SHORT = 5e-5  # seconds; what is shorter was hardly waited for


class Doing(IntEnum):
    """What a rank did in a span."""

    FORWARD = 0
    BACKWARD = 1
    UPDATE = 2
    EVALUATION = 3  # a forward pass with nothing to train
    FRONT = 4  # frozen layers at a client, beside the schedule
    WAIT = 5
    BACKGROUND = 6  # a wait of another thread, while this rank computes


class Noted(NamedTuple):
    """A span as it is kept: numbers only."""

    doing: Doing
    start: float  # seconds by this rank's clock
    end: float
    stage: int = -1
    number: int = -1  # of the micro-batch in the run; of an update the batch, of a wait its words
    batch: int = -1
    first: int = -1  # layer
    last: int = -1


_DOING = {Pass.FORWARD: Doing.FORWARD, Pass.BACKWARD: Doing.BACKWARD, Pass.UPDATE: Doing.UPDATE}
_WIDTH = len(Noted._fields)


class Spans:
    """The spans of one rank, made on the thread that computes."""

    def __init__(self, most: int = 250_000) -> None:
        self._numbers, self._most = array("d"), most
        self._words: dict[str, int] = {}
        self._thread, self._lock = threading.get_ident(), threading.Lock()
        self.lost = 0
        """Spans that came when there was no room for more."""

    def watching(self, portion: Portion, monitor: Monitor) -> Monitor:
        """A monitor that notes each action of the portion, and tells ``monitor`` of it."""
        return _Watching(self, portion, monitor)

    def waited(self, words: str, start: float, end: float) -> None:
        """This rank waited for what the words say."""
        if end - start < _SHORT:
            return
        doing = Doing.WAIT if threading.get_ident() == self._thread else Doing.BACKGROUND
        number = self._words.setdefault(words, len(self._words))
        self.note(Noted(doing, start, end, number=number))

    def note(self, span: Noted) -> None:
        """Keep a span if there is room."""
        with self._lock:
            if len(self._numbers) < self._most * _WIDTH:
                self._numbers.extend(span)
            else:
                self.lost += 1

    @property
    def words(self) -> tuple[str, ...]:
        """What waits were for; a wait's ``number`` is a place here."""
        return tuple(self._words)

    @property
    def numbers(self) -> "array[float]":
        """All spans, one after the other; ``read`` makes spans of them."""
        return self._numbers


def read(numbers: "array[float] | list[float]") -> Iterator[Noted]:
    """The spans that these numbers are."""
    for at in range(0, len(numbers), _WIDTH):
        doing, start, end, *rest = numbers[at : at + _WIDTH]
        yield Noted(Doing(int(doing)), start, end, *map(int, rest))


class _Watching:
    """A monitor between the engine and the run's own."""

    def __init__(self, spans: Spans, portion: Portion, monitor: Monitor) -> None:
        self._spans, self._portion, self._monitor = spans, portion, monitor
        self._actions = iter(portion.actions)
        self._start = time.perf_counter()

    def result(self, number: int, value: Tensor) -> None:
        self._monitor.result(number, value)

    def acted(self) -> None:
        action = next(self._actions)
        self._spans.note(_noted(self._portion, action, self._start, time.perf_counter()))
        self._monitor.acted()
        self._start = time.perf_counter()


def _noted(portion: Portion, action: Action, start: float, end: float) -> Noted:
    plan, doing = portion.plan, _DOING[action.which]
    if action.which is Pass.UPDATE:
        batch = portion.batch(action.number)
        return Noted(doing, start, end, action.stage, batch, batch)
    layers = plan.route(action.number)[action.stage].layers
    return Noted(
        doing=doing if plan.trainers else Doing.EVALUATION,
        start=start,
        end=end,
        stage=action.stage,
        number=portion.first + action.number,
        batch=portion.batch(action.number // len(plan.micro_batches)),
        first=layers.start,
        last=layers.stop - 1,
    )
