"""What each layer costs, worked out from its shapes: what the planner goes by.

An estimate, not a measurement: two floating-point operations for each weight and token, equal
speed on every rank.  It decides how layers are shared out, never what a run computes.
"""

from collections.abc import Sequence

from mpiedge.model.blueprint import Blueprint
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link

_SPEED = 2e10  # operations per second of the reference device
_LINK = Link(bandwidth=1e8, latency=2e-4)  # 1 Gbit/s Ethernet
_KEPT = 16  # tensors of the width of a hidden state that a block keeps for its backward pass


def estimate(
    blueprint: Blueprint, tuned: frozenset[str], tokens: tuple[int, int], memory: Sequence[int]
) -> CostModel:
    """The cost model of micro-batches of ``tokens`` (rows, sequence) on ranks with ``memory``."""
    profiles = (_profile(blueprint, i, tuned, tokens) for i in range(blueprint.num_layers))
    devices = tuple(Device(speed=1.0, memory=each) for each in memory)
    return CostModel(tuple(profiles), devices, _LINK)


def _profile(
    blueprint: Blueprint, layer: int, tuned: frozenset[str], tokens: tuple[int, int]
) -> LayerProfile:
    rows, length = tokens
    shapes = {name: tuple(p.shape) for name, p in blueprint.parameters(layer).items()}
    looked_up = layer in (0, blueprint.bridge)  # an embedding is a look-up, not a product
    matrices = 0 if looked_up else sum(_size(shape) for shape in shapes.values() if len(shape) == 2)
    # A classification head sees one token of each row.
    pooled = layer == blueprint.num_layers - 1 and blueprint.head_names
    worked = rows if pooled else rows * length
    forward = 2 * matrices * worked / _SPEED
    tuned_size = sum(4 * _size(shape) for name, shape in shapes.items() if name in tuned)
    whole = 2 * tuned_size > blueprint.weight_bytes(layer)
    hidden = 4 * rows * length * int(blueprint.config.hidden_size)
    return LayerProfile(
        forward=forward,
        backward=(2 if whole else 1) * forward,
        weights=blueprint.weight_bytes(layer),
        tuned=tuned_size,
        activation=hidden if looked_up else _KEPT * hidden,
        boundary=hidden,
    )


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
