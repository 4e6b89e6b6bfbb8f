"""What a stage costs in time and memory, on a cluster of unequal devices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

from mpiedge.plan.partition import Stage


@dataclass(frozen=True)
class LayerProfile:
    """One layer and one micro-batch on the reference device.

    What stands last is only there for side networks and for times at other numbers of rows.
    """

    forward: float  # seconds
    backward: float  # seconds, when gradients pass through the layer
    weights: int  # bytes, frozen and tuned
    tuned: int  # bytes of tuned weights
    activation: int  # bytes kept between forward and backward
    boundary: int  # bytes sent to the next layer
    gradient: int | None = None  # bytes that return from it; None: as many as were sent
    working: int = 0  # bytes in use only while the layer computes
    forward_start: float = 0.0  # seconds of the forward pass that any number of rows takes
    backward_start: float = 0.0  # the same of the backward pass
    frozen_forward: float = 0.0  # seconds of the forward pass that a replay leaves out
    frozen_start: float = 0.0  # of those, seconds that any number of rows takes
    frozen_weights: int = 0  # bytes of weights that a replay does without
    update: float = 0.0  # seconds of an optimizer step for the tuned weights

    def scaled(self, ratio: float) -> "LayerProfile":
        """The profile of a micro-batch of ``ratio`` times as many rows."""
        frozen = self.frozen_forward - self.frozen_start
        return replace(
            self,
            forward=self.forward_start + ratio * (self.forward - self.forward_start),
            backward=self.backward_start + ratio * (self.backward - self.backward_start),
            activation=ceil(ratio * self.activation),
            boundary=ceil(ratio * self.boundary),
            gradient=None if self.gradient is None else ceil(ratio * self.gradient),
            working=ceil(ratio * self.working),
            frozen_forward=self.frozen_start + ratio * frozen,
        )

    def replayed(self) -> "LayerProfile":
        """The profile of the same layer when what its backbone makes is read back."""
        return replace(
            self,
            forward=self.forward - self.frozen_forward,
            forward_start=max(0.0, self.forward_start - self.frozen_start),
            weights=self.weights - self.frozen_weights,
            working=0,
            # Every stage reads back what the backbone makes there, so only the side's crosses.
            boundary=self.boundary if self.gradient is None else self.gradient,
            frozen_forward=0.0,
            frozen_start=0.0,
            frozen_weights=0,
        )

    def recorded(self) -> "LayerProfile":
        """The profile of the same layer when only what its backbone makes is wanted."""
        return replace(
            self,
            forward=self.frozen_forward,
            forward_start=self.frozen_start,
            backward=0.0,
            backward_start=0.0,
            weights=self.frozen_weights,
            tuned=0,
            activation=0,
            boundary=self.boundary - (self.gradient or 0),
            gradient=0,
            update=0.0,
        )


@dataclass(frozen=True)
class Device:
    """One rank's hardware."""

    speed: float  # relative to the reference device
    memory: int  # bytes


@dataclass(frozen=True)
class Link:
    """A way from rank to rank."""

    bandwidth: float  # bytes per second
    latency: float  # seconds


class Cost(Protocol):
    """Seconds of compute and of transfer: all that ordering a schedule needs."""

    def forward(self, stage: Stage) -> float:
        """Seconds of one micro-batch's forward pass."""

    def backward(self, stage: Stage, lowest: bool) -> float:
        """Seconds of its backward pass, which in the ``lowest`` stage ends at a tuned layer."""

    def send(self, source: Stage, dest: Stage) -> float:
        """Seconds from the end of a pass at ``source`` until its message is at ``dest``."""

    def update(self, rank: int) -> float:
        """Seconds of an optimizer step."""

    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        """Seconds that the tuned weights of some layers take from rank to rank."""


class UnitCost:
    """Every stage takes one second each way; messages and updates are free."""

    def forward(self, stage: Stage) -> float:
        """One second."""
        return 1.0

    def backward(self, stage: Stage, lowest: bool) -> float:
        """One second."""
        return 1.0

    def send(self, source: Stage, dest: Stage) -> float:
        """Nothing."""
        return 0.0

    def update(self, rank: int) -> float:
        """Nothing."""
        return 0.0

    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        """Nothing."""
        return 0.0


@dataclass(frozen=True)
class CostModel:
    """Predicts stages on a cluster from a profile of layers."""

    layers: tuple[LayerProfile, ...]
    devices: tuple[Device, ...]
    link: Link
    rows: int = 1  # of the micro-batch that was profiled
    links: tuple[tuple[Link, ...], ...] = ()  # [source][dest]; none: all are ``link``
    moments: int = 2  # that the optimizer keeps of every tuned weight
    crossing: float = 1.0  # of the bytes of gradients, the part that crosses when they are summed

    def between(self, source: int, dest: int) -> Link:
        """The way from rank to rank."""
        return self.links[source][dest] if self.links else self.link

    def forward(self, stage: Stage) -> float:
        """Seconds of one micro-batch's forward pass."""
        return sum(self.layers[i].forward for i in stage.layers) / self._speed(stage)

    def backward(self, stage: Stage, lowest: bool) -> float:
        """Seconds of its backward pass."""
        return sum(self.layers[i].backward for i in _passed(stage, lowest)) / self._speed(stage)

    def send(self, source: Stage, dest: Stage) -> float:
        """Seconds of latency and transfer of what crosses the boundary, up or back down."""
        if source.rank == dest.rank:
            return 0.0
        link = self.between(source.rank, dest.rank)
        return link.latency + crossing(self.layers, source, dest) / link.bandwidth

    def update(self, rank: int) -> float:
        """Taken as nothing where actions are only ordered; a prediction adds what layers take."""
        return 0.0

    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        """Seconds of latency and transfer of tuned weights and the optimizer's moments."""
        size = (1 + self.moments) * sum(self.layers[i].tuned for i in layers)
        link = self.between(source, dest)
        return link.latency + size / link.bandwidth

    def memory(self, stage: Stage, lowest: bool, in_flight: int) -> int:
        """Bytes: weights, gradients and moments, ``in_flight`` micro-batches."""
        weights = sum(self.layers[i].weights for i in stage.layers)
        training = sum((1 + self.moments) * self.layers[i].tuned for i in stage.trainable)
        working = max((self.layers[i].working for i in stage.layers), default=0)
        return weights + training + in_flight * kept(self.layers, stage, lowest) + working

    def at(self, rows: int) -> "CostModel":
        """The same cluster with micro-batches of ``rows`` rows."""
        layers = tuple(layer.scaled(rows / self.rows) for layer in self.layers)
        return replace(self, layers=layers, rows=rows)

    def replaying(self) -> "CostModel":
        """The same cluster when what the backbone makes is read back, not computed."""
        return replace(self, layers=tuple(layer.replayed() for layer in self.layers))

    def recording(self) -> "CostModel":
        """The same cluster when the backbone alone runs, and nothing is trained."""
        return replace(self, layers=tuple(layer.recorded() for layer in self.layers))

    def _speed(self, stage: Stage) -> float:
        return self.devices[stage.rank].speed


def crossing(layers: Sequence[LayerProfile], source: Stage, dest: Stage) -> int:
    """Bytes that cross the boundary of neighbouring stages, up or back down."""
    crossed = layers[min(source.layers.stop, dest.layers.stop) - 1]
    if source.layers.start > dest.layers.start and crossed.gradient is not None:
        return crossed.gradient
    return crossed.boundary


def kept(layers: Sequence[LayerProfile], stage: Stage, lowest: bool) -> int:
    """Bytes of one micro-batch at a stage between its forward and its backward pass."""
    return sum(layers[i].activation for i in _passed(stage, lowest))


def _passed(stage: Stage, lowest: bool) -> Iterable[int]:
    """The layers of ``stage`` that gradients pass through."""
    start = min(stage.trainable, default=stage.layers.stop) if lowest else stage.layers.start
    return range(start, stage.layers.stop)
