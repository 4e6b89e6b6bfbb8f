"""A run as its output directory tells it: plain typed values, from which everything is drawn.

Apart from the reading, so that what is shown never looks into files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mpiedge.strategy.strategy import Phase


class Step(NamedTuple):
    """One update."""

    number: int
    loss: float
    learning_rate: float
    seconds: float  # since the first update began


class Scored(NamedTuple):
    """One evaluation."""

    step: int
    metrics: Mapping[str, float]


class Epoch(NamedTuple):
    """The time of one epoch."""

    number: int
    seconds: float
    examples: int


class Sent(NamedTuple):
    """What a rank sent of one kind."""

    kind: str
    messages: int
    bytes: int


@dataclass(frozen=True)
class Rank:
    """What a rank used."""

    number: int
    host: str
    layers: tuple[int, ...]
    busy: float  # seconds
    resident: int  # bytes at the peak
    sent: tuple[Sent, ...]
    budget: int = 0  # bytes that were free for it; 0: not known
    device: int = 0  # bytes at the peak on its accelerator
    stored: int = 0  # bytes of its cache
    links: Mapping[int, int] = field(default_factory=dict)  # bytes by destination
    kinds: Mapping[str, int] = field(default_factory=dict)  # bytes in memory; empty: not known
    joules: float = 0.0  # that its machine took; 0: not known
    sensor: str = ""  # by which

    @property
    def rest(self) -> int:
        """Bytes at the peak that are of no kind that was counted: activations and what works."""
        return max(0, self.resident - sum(self.kinds.values()))


class Bar(NamedTuple):
    """Something that a rank did for a while."""

    rank: int
    what: str  # forward, backward, update, wait, ...
    start: float
    length: float  # seconds, or units of a foreseen timeline
    batch: int = -1  # of which it is; -1: of none, or not known


@dataclass(frozen=True)
class Story:
    """All that is known of a run."""

    name: str
    state: str  # finished, stopped, failed, training, evaluating; empty: not known
    settings: Mapping[str, Mapping[str, Any]]  # by section
    steps: tuple[Step, ...] = ()
    scores: tuple[Scored, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)  # of the end
    ranks: tuple[Rank, ...] = ()
    phases: tuple[Phase, ...] = ()
    bars: tuple[Bar, ...] = ()  # as measured
    facts: Mapping[str, Any] = field(default_factory=dict)  # more of the result
    planned: int = 0  # updates of the whole run; 0: not known

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return bool(self.ranks)

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        if self.epochs:
            return sum(epoch.seconds for epoch in self.epochs)
        return self.steps[-1].seconds if self.steps else 0.0

    @property
    def latest(self) -> Mapping[str, float]:
        """The metrics of the end; of an unfinished run those of its last evaluation."""
        return self.metrics or (self.scores[-1].metrics if self.scores else {})

    @property
    def joules(self) -> float:
        """What all machines took that have a sensor."""
        return sum(rank.joules for rank in self.ranks)

    @property
    def sent(self) -> int:
        """Bytes that all ranks sent."""
        return sum(each.bytes for rank in self.ranks for each in rank.sent)

    def setting(self, section: str, key: str) -> Any:
        """A setting of the run file; empty where it is not named."""
        return self.settings.get(section, {}).get(key, "")
