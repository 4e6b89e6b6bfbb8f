"""What each layer costs, worked out from its shapes: what the planner goes by.

An estimate, not a measurement: two floating-point operations for each weight and token, on ranks
as fast as the run file says they are.  It decides how layers are shared out, never what a run
computes.

A side network is counted apart from the model it stands beside: gradients pass through it alone,
only its own gradients return over a link, and it is all that is left to compute when the model's
activations are read back.
"""

from collections.abc import Sequence
from math import inf, prod
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.model.anatomy import SIDE
from mpiedge.model.blueprint import Blueprint
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link

SPEED = 2e10  # operations per second of the reference device
_LINK = Link(bandwidth=1e8, latency=2e-4)  # 1 Gbit/s Ethernet
_KEPT = 16  # tensors of the width of a hidden state that a block keeps for its backward pass
_WORKING = 8  # such tensors that a frozen block has in use at once

Shapes = dict[str, tuple[int, ...]]


def estimate(
    blueprint: Blueprint,
    tuned: frozenset[str],
    tokens: Sequence[int],
    memory: Sequence[int],
    speeds: Sequence[float] = (),
) -> CostModel:
    """The cost model of micro-batches of ``tokens`` on ranks with ``memory`` and ``speeds``.

    ``tokens`` are rows and their length; a third number is the length of what a decoder apart is
    given.  Raises BadInput unless there is a speed above 0 for each rank, or none at all.
    """
    each = list(speeds) or [1.0] * len(memory)
    if len(each) != len(memory) or not all(0 < speed < inf for speed in each):
        raise BadInput(
            f"strategy.speeds {each} has to name one speed above 0 for each of the "
            f"{len(memory)} ranks"
        )
    devices = tuple(Device(*pair) for pair in zip(each, memory, strict=True))
    profiles = (_profile(blueprint, i, tuned, tokens) for i in range(blueprint.num_layers))
    return CostModel(tuple(profiles), devices, _LINK, rows=tokens[0])


class _Place(NamedTuple):
    """What stands at a layer: how many tokens, how wide, and what the layer does with them."""

    rows: int
    tokens: int  # of all rows, that the layer works on
    handed_on: int  # of all rows, of what an encoder made and every later layer needs
    width: int
    looked_up: bool  # an embedding is a look-up, not a product
    head: bool
    pooled: bool  # a classification head sees one token of each row


def _profile(
    blueprint: Blueprint, layer: int, tuned: frozenset[str], tokens: Sequence[int]
) -> LayerProfile:
    shapes = {name: tuple(p.shape) for name, p in blueprint.parameters(layer).items()}
    place = _place(blueprint, layer, tokens)
    tuned_size = 4 * sum(prod(shape) for name, shape in shapes.items() if name in tuned)
    if any(name.startswith(SIDE) for name in shapes):
        return _beside(blueprint, layer, shapes, tuned_size, place)
    forward = _forward(shapes, place)
    hidden = 4 * place.tokens * place.width
    return LayerProfile(
        forward=forward,
        backward=(2 if 2 * tuned_size > blueprint.weight_bytes(layer) else 1) * forward,
        weights=blueprint.weight_bytes(layer),
        tuned=tuned_size,
        activation=hidden if place.looked_up else _KEPT * hidden,
        boundary=hidden + 4 * place.handed_on * place.width,
    )


def _beside(
    blueprint: Blueprint, layer: int, shapes: Shapes, tuned: int, place: _Place
) -> LayerProfile:
    """The profile of a layer that has a layer of a side network at it."""
    beside = {name: shape for name, shape in shapes.items() if name.startswith(SIDE)}
    model = _forward({n: shape for n, shape in shapes.items() if n not in beside}, place)
    side = 2 * _matrices(beside) * place.tokens / SPEED
    sides, weights = sum(map(prod, beside.values())), blueprint.weight_bytes(layer)
    small = min(min(shape) for n, shape in beside.items() if _projects(n))
    wide, narrow = 4 * place.tokens * place.width, 4 * place.tokens * small
    return LayerProfile(
        forward=model + side,
        # The way back starts in the model's own head; through the rest of the model it never goes.
        backward=2 * side + (model if place.head else 0.0),
        # A side network stays in float32, whatever the model is held in.
        weights=weights + (4 - blueprint.dtype.itemsize) * sides,
        tuned=tuned,
        # A down-projection's weights get their gradient from what it was given: the model's.
        activation=wide + (1 if place.looked_up else _KEPT) * narrow + _logits(shapes, place),
        boundary=wide + narrow + 4 * place.handed_on * (place.width + small),
        gradient=narrow + 4 * place.handed_on * small,
        working=0 if place.looked_up or place.head else _WORKING * wide,
        frozen_forward=0.0 if place.head else model,
        frozen_weights=0 if place.head else weights - blueprint.dtype.itemsize * sides,
    )


def _place(blueprint: Blueprint, layer: int, tokens: Sequence[int]) -> _Place:
    rows, length, *target = tokens
    bridge, head = blueprint.bridge, layer == blueprint.num_layers - 1
    decoding = bridge is not None and layer >= bridge
    return _Place(
        rows=rows,
        tokens=rows * (target[0] if decoding and target else length),
        handed_on=rows * length if decoding else 0,
        width=int(blueprint.config.hidden_size),
        looked_up=layer in (0, bridge),
        head=head,
        pooled=head and bool(blueprint.head_names),
    )


def _forward(shapes: Shapes, place: _Place) -> float:
    """Seconds in the model's own weights."""
    worked = place.rows if place.pooled else place.tokens
    return 0.0 if place.looked_up else 2 * _matrices(shapes) * worked / SPEED


def _matrices(shapes: Shapes) -> int:
    return sum(prod(shape) for shape in shapes.values() if len(shape) == 2)


def _logits(shapes: Shapes, place: _Place) -> int:
    """Bytes of the scores of every word at every token, and of their gradients."""
    if not place.head or place.pooled:
        return 0
    return 2 * 4 * place.tokens * max(max(shape) for shape in shapes.values())


def _projects(name: str) -> bool:
    """Whether a parameter leads from the model's width to the side network's, or back."""
    return name.startswith((f"{SIDE}down.", f"{SIDE}up.")) and name.endswith(".weight")
