"""What each system makes of a mini-batch: how it is laid out, and how long it takes."""

from collections.abc import Iterator
from typing import NamedTuple

from published.conditions import (
    BATCH,
    DEVICES,
    LINK,
    MODELS,
    MOMENTS,
    NANO,
    TECHNIQUES,
)
from published.moving import moved
from published.playing import GroupedCost, played

from mpiedge.plan.analytic import Pace, Plate, profiles
from mpiedge.plan.balance import Infeasible, balance, check_memory
from mpiedge.plan.cost import CostModel
from mpiedge.plan.grouping import Group, Problem, all_reduce
from mpiedge.plan.hybrid import groupings
from mpiedge.plan.partition import Stage
from mpiedge.plan.shapes import Shape, Sizes

SIZES = (16, 8, 4, 2, 1)  # rows of a micro-batch that are tried


class Case(NamedTuple):
    """One row of the table."""

    model: str
    technique: str
    system: str


class Layout(NamedTuple):
    """Who computes what: the whole model on every device is one group."""

    groups: tuple[Group, ...]
    rows: int  # of a micro-batch


class Seconds(NamedTuple):
    """What a mini-batch takes."""

    first: float  # in the first epoch
    later: float  # in the others
    moved: float  # between the two


def cost_of(case: Case, pace: Pace, rows: int) -> CostModel:
    """The cost model of micro-batches of ``rows`` examples on eight Nanos, or on one."""
    alone = case.system in ("standalone", "eddl")
    plate = Plate(MODELS[case.model], TECHNIQUES[case.technique], alone=alone)
    devices = (NANO,) * (1 if case.system == "standalone" else DEVICES)
    return CostModel(profiles(plate, pace, rows), devices, LINK, rows, moments=MOMENTS)


def laid_out(case: Case, pace: Pace) -> Layout | None:
    """The fastest layout that fits the devices' memory; None if there is none."""
    try:
        found = {one: seconds(case, one, pace).first for one in LAYOUTS[case.system](case, pace)}
    except Infeasible:
        found = {}
    return min(found, key=found.__getitem__, default=None)


def seconds(case: Case, layout: Layout, pace: Pace) -> Seconds:
    """What a mini-batch takes in a layout."""
    problem = _problem(case, pace, layout.rows)
    first = played(GroupedCost(problem, layout.groups))
    if case.system != "pac":
        return Seconds(first, first, 0.0)
    redistribution = moved(layout.groups, stored(MODELS[case.model], Sizes()), LINK.bandwidth)
    return Seconds(first, replayed(case, pace), redistribution)


def stored(shape: Shape, sizes: Sizes) -> list[int]:
    """Bytes kept of an example by layer: the embedding's two outputs, then each block's."""
    source, target = (4 * shape.width * tokens for tokens in (sizes.source, sizes.target))
    return [source + target, *[source] * shape.encoder, *[target] * shape.decoder]


def replayed(case: Case, pace: Pace) -> float:
    """Seconds of a mini-batch of a later epoch: the side network, and the sum of its gradients."""
    whole = Group(tuple(range(DEVICES)), range(MODELS[case.model].layers), ())
    passes = sum(cached(case, pace))
    return passes + all_reduce(_problem(case, pace, BATCH), whole)


def cached(case: Case, pace: Pace) -> tuple[float, float]:
    """Seconds of the side network's forward and backward pass over a device's share."""
    layers = cost_of(case, pace, BATCH // DEVICES).replaying().layers
    return sum(layer.forward for layer in layers), sum(layer.backward for layer in layers)


def _problem(case: Case, pace: Pace, rows: int) -> Problem:
    cost = cost_of(case, pace, rows)
    layers = frozenset(range(len(cost.layers)))
    return Problem(cost, layers, rows, micro_batches=BATCH // rows)


def _pipelines(case: Case, pace: Pace) -> Iterator[Layout]:
    """Eco-FL: all devices in a row, 1F1B."""
    for rows in SIZES:
        cost = cost_of(case, pace, rows)
        try:
            parts = balance(cost, range(DEVICES), frozenset(range(len(cost.layers))))
        except Infeasible:
            continue
        groups = (Group((rank,), part, (rows,)) for rank, part in enumerate(parts))
        yield Layout(tuple(groups), rows)


def _replicas(case: Case, pace: Pace) -> Iterator[Layout]:
    """EDDL, and one device alone: the whole model on every device, which shares out the rows."""
    count = 1 if case.system == "standalone" else DEVICES
    for rows in (size for size in SIZES if size >= count):
        cost = cost_of(case, pace, rows // count)
        layers = range(len(cost.layers))
        try:
            check_memory(cost, Stage(0, layers, frozenset(layers)))
        except Infeasible:
            continue
        yield Layout((Group(tuple(range(count)), layers, (rows // count,) * count),), rows)


def _hybrids(case: Case, pace: Pace) -> Iterator[Layout]:
    """PAC: the groupings that its equations find, for every number of stages and size."""
    sizes = [(rows, BATCH // rows) for rows in SIZES]
    for one in groupings(_problem(case, pace, BATCH), sizes):
        yield Layout(one.groups, one.rows)


LAYOUTS = {
    "standalone": _replicas,
    "ecofl": _pipelines,
    "eddl": _replicas,
    "pac": _hybrids,
}
