"""Devices and links as they were measured, or as somebody wrote them down.

A planner reckons with one profile of layers, on a reference device, and with each device's speed
relative to it.  Here that is made of what is known of each: measured seconds of every kind of
layer, or how many operations it sustains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link

KINDS = ("embedding", "block", "bridge", "decoder", "head")


class Pace(NamedTuple):
    """Seconds of a pass: ``start``, and ``token`` more for each token of the micro-batch."""

    start: float
    token: float

    def at(self, tokens: float) -> float:
        """Seconds of so many tokens."""
        return self.start + self.token * tokens


class Passes(NamedTuple):
    """Both passes through a layer, and what else a run does with it."""

    forward: Pace
    backward: Pace
    replay: Pace | None = None  # the forward pass when the model's part is read back, if known
    update: float = 0.0  # seconds of the optimizer's step for what is tuned of it


@dataclass(frozen=True)
class Member:
    """One rank's device."""

    name: str
    memory: int  # bytes for a run; 0: not known
    gflops: float = 0.0  # billions of operations a second that it sustains; 0: layers are measured
    layers: Mapping[str, Passes] | None = None  # by kind of layer
    storage: float = 0.0  # bytes a second from its disk; 0: not known
    bare: int = 0  # bytes of a process before it has weights; 0: not known
    host: str = ""  # that it was measured on; empty: it need not be there


@dataclass(frozen=True)
class Measured:
    """The model whose layers were timed."""

    name: str
    layers: int
    width: int
    dtype: str
    adapter: str
    tokens: int = 0  # of an ordinary micro-batch, by which devices are compared; 0: not known


@dataclass(frozen=True)
class Cluster:
    """Devices by rank, and the link between any two."""

    members: tuple[Member, ...]
    links: tuple[tuple[Link, ...], ...]  # [source][dest]; from a rank to itself nothing is sent
    model: Measured | None = None

    def first(self, count: int) -> "Cluster":
        """The same without all but the first devices."""
        links = tuple(row[:count] for row in self.links[:count])
        return replace(self, members=self.members[:count], links=links)


class Row(NamedTuple):
    """A model's layers as a profile tells them apart."""

    kinds: tuple[str, ...]  # of each layer
    tokens: tuple[int, ...]  # of a micro-batch in each


def kinds_of(layers: int, bridge: int | None) -> tuple[str, ...]:
    """The kind of each layer of a model, with a decoder apart from ``bridge`` on."""
    found = ["block"] * layers
    if bridge is not None:
        found[bridge:] = ["bridge", *["decoder"] * (layers - bridge - 1)]
    found[0], found[-1] = "embedding", "head"
    return tuple(found)


def applied(cost: CostModel, cluster: Cluster, row: Row, reference: float) -> CostModel:
    """The cost model on a cluster, whose devices have the memory of the model's own.

    Where layers were measured, the first device is the reference and the others are as fast as
    they are over all layers, for as many tokens as were measured: a line that was fitted there
    tells little of many more.  Else ``reference`` are the operations a second of it.
    """
    memory = [device.memory for device in cost.devices]
    layers, speeds = cost.layers, [1e9 * one.gflops / reference for one in cluster.members]
    if cluster.model is not None:
        first = _of(cluster.members[0])
        layers = tuple(map(_timed, cost.layers, (first[kind] for kind in row.kinds), row.tokens))
        tokens = cluster.model.tokens
        compared = row._replace(tokens=tuple(tokens or each for each in row.tokens))
        totals = [_total(_of(one), compared) for one in cluster.members]
        speeds = [totals[0] / total for total in totals]
    devices = tuple(map(Device, speeds, memory))
    slowest = [
        link for i, each in enumerate(cluster.links) for j, link in enumerate(each) if i != j
    ]
    link = min(slowest, key=lambda one: one.bandwidth, default=cost.link)
    return replace(cost, layers=layers, devices=devices, link=link, links=cluster.links)


def _of(member: Member) -> Mapping[str, Passes]:
    assert member.layers is not None, f"{member.name} was not measured"
    return member.layers


def _total(layers: Mapping[str, Passes], row: Row) -> float:
    pairs = zip(row.kinds, row.tokens, strict=True)
    passes = ((layers[kind], tokens) for kind, tokens in pairs)
    return sum(one.forward.at(tokens) + one.backward.at(tokens) for one, tokens in passes)


def _timed(layer: LayerProfile, passes: Passes, tokens: int) -> LayerProfile:
    """The layer with measured seconds.

    What a replay leaves out of them is measured too, or the part that it was by operations.
    """
    forward, left_out = passes.forward, layer.frozen_forward / layer.forward if layer.forward else 0
    frozen = Pace(*(left_out * each for each in forward))
    if passes.replay is not None and layer.frozen_forward:
        frozen = Pace(*(max(0.0, a - b) for a, b in zip(forward, passes.replay, strict=True)))
    return replace(
        layer,
        forward=forward.at(tokens),
        backward=passes.backward.at(tokens),
        forward_start=forward.start,
        backward_start=passes.backward.start,
        update=passes.update,
        frozen_forward=frozen.at(tokens),
        frozen_start=frozen.start,
    )
