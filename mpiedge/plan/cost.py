"""What a stage costs in time and memory, on a cluster of unequal devices."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from mpiedge.plan.partition import Stage


@dataclass(frozen=True)
class LayerProfile:
    """One layer and one micro-batch on the reference device."""

    forward: float  # seconds
    backward: float  # seconds, when gradients pass through the layer
    weights: int  # bytes, frozen and tuned
    tuned: int  # bytes of tuned weights
    activation: int  # bytes kept between forward and backward
    boundary: int  # bytes sent to the next layer; gradients that return are as many


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


@dataclass(frozen=True)
class CostModel:
    """Predicts stages on a cluster from a profile of layers."""

    layers: tuple[LayerProfile, ...]
    devices: tuple[Device, ...]
    link: Link

    def forward(self, stage: Stage) -> float:
        """Seconds of one micro-batch's forward pass."""
        return sum(self.layers[i].forward for i in stage.layers) / self._speed(stage)

    def backward(self, stage: Stage, lowest: bool) -> float:
        """Seconds of its backward pass."""
        return sum(self.layers[i].backward for i in _passed(stage, lowest)) / self._speed(stage)

    def send(self, source: Stage, dest: Stage) -> float:
        """Seconds of latency and transfer of what crosses the boundary, either way."""
        if source.rank == dest.rank:
            return 0.0
        boundary = min(source.layers.stop, dest.layers.stop) - 1
        return self.link.latency + self.layers[boundary].boundary / self.link.bandwidth

    def update(self, rank: int) -> float:
        """Taken as nothing: tuned weights are few."""
        return 0.0

    def memory(self, stage: Stage, lowest: bool, in_flight: int) -> int:
        """Bytes: weights, gradients and two optimizer moments, ``in_flight`` micro-batches."""
        weights = sum(self.layers[i].weights for i in stage.layers)
        training = sum(3 * self.layers[i].tuned for i in stage.trainable)
        kept = sum(self.layers[i].activation for i in _passed(stage, lowest))
        return weights + training + in_flight * kept

    def _speed(self, stage: Stage) -> float:
        return self.devices[stage.rank].speed


def _passed(stage: Stage, lowest: bool) -> Iterable[int]:
    """The layers of ``stage`` that gradients pass through."""
    start = min(stage.trainable, default=stage.layers.stop) if lowest else stage.layers.start
    return range(start, stage.layers.stop)
