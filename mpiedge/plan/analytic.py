"""What each layer costs, from a model's shape and a device's pace alone: nothing is loaded or run.

    seconds = launches x seconds a launch + examples x operations / speed

For devices and models that are not at hand.  Two numbers describe a kind of device, and can be
fitted to a few published times; all the rest is counted (``counts.py``).
"""

from collections.abc import Iterator
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from mpiedge.plan.cost import LayerProfile
from mpiedge.plan.counts import Count, Tuning, attention, bottleneck, feed_forward, norm, product
from mpiedge.plan.shapes import Shape, Sizes, Technique

_FLOAT = 4  # bytes


class Pace(NamedTuple):
    """How fast a kind of device is."""

    speed: float  # floating-point operations per second
    launch: float  # seconds that an operation takes at least


class Plate(NamedTuple):
    """What is to be profiled."""

    shape: Shape
    technique: Technique
    sizes: Sizes = Sizes()
    alone: bool = False  # one device has all layers, and head and embedding share their weights


def profiles(plate: Plate, pace: Pace, rows: int) -> tuple[LayerProfile, ...]:
    """The layers of a model: embedding, encoder, decoder, head, for ``rows`` examples.

    Raises ValueError for a pace that is not above 0.
    """
    if not (pace.speed > 0 and pace.launch >= 0):
        raise ValueError(f"speed must be above 0 and a launch take no less than 0, not {pace}")
    wanted = _Wanted(plate, pace, rows)
    backbone, added = counted(plate)
    if not added:
        return tuple(_plain(wanted, i, count) for i, count in enumerate(backbone))
    both = zip(backbone, added, strict=True)
    return tuple(_with_side(wanted, i, *counts) for i, counts in enumerate(both))


@lru_cache(maxsize=64)
def counted(plate: Plate) -> tuple[tuple[Count, ...], tuple[Count, ...]]:
    """The counts of each layer, and of the side network at each; none without one."""
    return tuple(own(plate)), tuple(beside(plate))


def own(plate: Plate) -> Iterator[Count]:
    """The counts of each layer, without a side network."""
    shape, sizes, tuning = plate.shape, plate.sizes, _tuning(plate)
    yield _embedding(plate)
    for _ in range(shape.encoder):
        yield _block(shape, sizes.source, 0, tuning)
    for _ in range(shape.decoder):
        yield _block(shape, sizes.target, sizes.source, tuning)
    yield _head(plate)


def beside(plate: Plate) -> Iterator[Count]:
    """The counts of the side network at each layer; none without one.

    As PAC counts it: a projection down and a tuned block at every block, two projections at the
    embedding, one up at the head.
    """
    if plate.technique is not Technique.PARALLEL:
        return
    wide, sizes, tuning = plate.shape, plate.sizes, Tuning(weights=True)
    side = wide.narrowed(sizes.reduction)
    yield _down(wide, side, sizes.source, gated=False) + _down(
        wide, side, sizes.target, gated=False
    )
    for _ in range(wide.encoder):
        yield _down(wide, side, sizes.source) + _block(side, sizes.source, 0, tuning)
    for _ in range(wide.decoder):
        yield _down(wide, side, sizes.target) + _block(side, sizes.target, sizes.source, tuning)
    up = product(sizes.target, side.width, wide.width, tuned=True, biased=True)
    yield up + norm(side, sizes.target, True) + norm(side, sizes.source, True)


def _tuning(plate: Plate) -> Tuning:
    which, sizes = plate.technique, plate.sizes
    if which is Technique.ADAPTERS:
        return Tuning(norms=True, bottleneck=plate.shape.width // sizes.bottleneck)
    return Tuning(
        weights=which is Technique.FULL,
        norms=which is Technique.FULL,
        rank=sizes.rank if which is Technique.LORA else 0,
    )


def _embedding(plate: Plate) -> Count:
    shape, full = plate.shape, plate.technique is Technique.FULL
    weights = (shape.vocabulary + shape.positions) * shape.width
    kept = 0.25 * plate.sizes.source * shape.width
    return Count(
        forward_launches=2,
        backward_launches=2,
        weights=weights,
        tuned=weights * full,
        kept=kept,
    )


def _block(shape: Shape, tokens: int, crossed: int, tuning: Tuning) -> Count:
    """A block; one of a decoder attends also to ``crossed`` tokens of the encoder's."""
    count = attention(shape, tokens, tokens, tuning)
    if crossed:
        count += attention(shape, tokens, crossed, tuning)
    count += bottleneck(shape.width, tokens, tuning.bottleneck)
    count += feed_forward(shape, tokens, tuning)
    return count + bottleneck(shape.width, tokens, tuning.bottleneck)


def _head(plate: Plate) -> Count:
    shape, sizes, full = plate.shape, plate.sizes, plate.technique is Technique.FULL
    outputs = shape.vocabulary if shape.scores else shape.width
    made = product(sizes.target, shape.width, outputs, tuned=full)
    if shape.scores and plate.alone:
        made += Count(weights=-made.weights, tuned=-made.tuned)
    scores = Count(forward_launches=2, backward_launches=2, kept=2.0 * sizes.target * outputs)
    return made + scores + norm(shape, sizes.target, full) + norm(shape, sizes.source, full)


def _down(wide: Shape, side: Shape, tokens: int, gated: bool = True) -> Count:
    """The way into the side network; the gate is a sigmoid, two factors and a sum (form A)."""
    rest = Count(
        forward_launches=4 * gated,
        backward_launches=4 * gated,
        kept=tokens * (wide.width + 2 * side.width * gated),
    )
    return product(tokens, wide.width, side.width, tuned=True, biased=True) + rest


class _Wanted(NamedTuple):
    """What profiles are of."""

    plate: Plate
    pace: Pace
    rows: int


def _plain(wanted: _Wanted, index: int, count: Count) -> LayerProfile:
    plate, pace, rows = wanted
    passed = _passed(plate, index, plate.shape.width)
    start, back = pace.launch * count.forward_launches, pace.launch * count.backward_launches
    return LayerProfile(
        forward=start + rows * count.forward / pace.speed,
        backward=back + rows * count.backward / pace.speed,
        weights=_FLOAT * count.weights,
        tuned=_FLOAT * count.tuned,
        activation=ceil(_FLOAT * rows * count.kept),
        boundary=_FLOAT * rows * passed,
        working=_working(plate, index, rows),
        forward_start=start,
        backward_start=back,
    )


def _with_side(wanted: _Wanted, index: int, frozen: Count, side: Count) -> LayerProfile:
    """Gradients pass through the side network alone, and through the model's head before it."""
    plate, pace, rows = wanted
    head = index == plate.shape.layers - 1
    both, back = frozen + side, frozen + side if head else side
    narrow = plate.shape.width // plate.sizes.reduction
    start, back_start = pace.launch * both.forward_launches, pace.launch * back.backward_launches
    unread = pace.launch * frozen.forward_launches + rows * frozen.forward / pace.speed
    return LayerProfile(
        forward=start + rows * both.forward / pace.speed,
        backward=back_start + rows * back.backward / pace.speed,
        weights=_FLOAT * both.weights,
        tuned=_FLOAT * side.tuned,
        activation=ceil(_FLOAT * rows * (both.kept if head else side.kept)),
        boundary=_FLOAT * rows * _passed(plate, index, plate.shape.width + narrow),
        gradient=_FLOAT * rows * _passed(plate, index, narrow),
        working=_working(plate, index, rows),
        forward_start=start,
        backward_start=back_start,
        frozen_forward=0.0 if head else unread,
        frozen_start=0.0 if head else pace.launch * frozen.forward_launches,
        frozen_weights=0 if head else _FLOAT * frozen.weights,
    )


def _passed(plate: Plate, index: int, width: int) -> int:
    """Numbers that go on from a layer; the decoder hands the encoder's on with its own."""
    shape, sizes = plate.shape, plate.sizes
    return width * (sizes.source + (sizes.target if index >= shape.bridge else 0))


def _working(plate: Plate, index: int, rows: int) -> int:
    """Bytes of a block's largest intermediate results, of which two are there at once."""
    shape, sizes = plate.shape, plate.sizes
    if index in (0, shape.layers - 1):
        return 0
    tokens = sizes.source if index < shape.bridge else sizes.target
    largest = tokens * max(shape.inner, shape.heads * sizes.source)
    return _FLOAT * rows * (2 * tokens * shape.width + 2 * largest)
