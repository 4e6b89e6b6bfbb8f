"""Why no grouping fits: the grouping that comes nearest, and what it lacks."""

from dataclasses import replace
from itertools import accumulate

from mpiedge.plan.cost import CostModel
from mpiedge.plan.crowd import EXACT, best_cuts, crowded
from mpiedge.plan.cuts import Cut, cuts
from mpiedge.plan.grouping import Problem, Ranks
from mpiedge.plan.loads import Loads

_MIB = 2**20
_PARTS = EXACT  # of a long row of devices, taken as one each


def shortage(problem: Problem) -> str:
    """One line: who is short of how much memory at best, and the nearest repair.

    Of many devices neighbours are taken together, and the best is that of groups of them.
    """
    loads = Loads(problem)
    row = _row(problem)
    every = cuts(loads.crowding, row, len(problem.cost.layers), _ends(problem, len(row)))
    if not every:
        return _impossible(problem)
    by_fullness = [_fullest(loads, cut) for cut in every.values()]
    fullness, rank, part = min(by_fullness, key=lambda each: each[0])
    free = problem.cost.devices[rank].memory
    return (
        f"no grouping of the {len(problem.cost.devices)} ranks fits their memory: at best rank "
        f"{rank} needs {fullness * free / _MIB:.0f} MiB for layers {part.start}..{part.stop - 1} "
        f"and has {free / _MIB:.0f} MiB free; {_repair(problem)}"
    )


def _row(problem: Problem) -> Ranks:
    given = tuple(rank for group in problem.groups for rank in group)
    return given or tuple(range(len(problem.cost.devices)))


def _ends(problem: Problem, devices: int) -> tuple[int, ...]:
    """Where groups may end: after given groups, and of many devices after as many each time."""
    if problem.groups:
        return tuple(accumulate(len(group) for group in problem.groups))
    if not crowded(problem):
        return ()
    return tuple(devices * (i + 1) // _PARTS for i in range(_PARTS))


def _fits(problem: Problem, cost: CostModel) -> bool:
    other = replace(problem, cost=cost)
    return bool(best_cuts(other, Loads(other), _row(problem)))


def _fullest(loads: Loads, cut: Cut) -> tuple[float, int, range]:
    """How full the fullest stage is, its rank with the least memory, and its layers."""
    each = []
    for left, (ranks, part) in zip(range(len(cut), 0, -1), cut, strict=True):
        fullness = float(loads.crowding(ranks, left)[part.start, part.stop - 1])
        each.append((fullness, loads.smallest(ranks), part))
    return max(each, key=lambda one: one[0])


def _repair(problem: Problem) -> str:
    cost = problem.cost
    weights = tuple(replace(layer, activation=0, working=0) for layer in cost.layers)
    if not _fits(problem, replace(cost, layers=weights)):
        return "even the weights alone do not fit: add ranks, or set model.dtype to bfloat16"
    smaller = (cost.rows >> halvings for halvings in range(1, cost.rows.bit_length()))
    # Only where a row of the problem is a whole micro-batch does its size stay open.
    fitting = () if problem.together else (r for r in smaller if _fits(problem, cost.at(r)))
    rows = next(iter(fitting), None)
    size = "training.micro_batch_size"
    lower = f"{size} (now {cost.rows}) to {rows}" if rows else size
    return f"the weights would fit: lower {lower}, or add ranks"


def _impossible(problem: Problem) -> str:
    devices, layers = len(problem.cost.devices), len(problem.cost.layers)
    if problem.bridge is not None:
        return (
            f"strategy.mixed = false keeps the layers below {problem.bridge} (the encoder's) and "
            f"the others on different ranks, which {devices} ranks, or the strategy.groups and "
            f"strategy.layers given, do not allow; give a stage's end there, or set it to true"
        )
    return (
        f"{devices} ranks cannot share {layers} layers and {problem.rows} micro-batches so that "
        f"each has some of both as strategy.groups and strategy.layers ask; start fewer ranks, "
        f"or lower training.micro_batch_size so that a batch has more micro-batches"
    )
