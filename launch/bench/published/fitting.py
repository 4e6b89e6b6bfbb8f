"""The pace of a Jetson Nano, fitted to the rows of T5-Base, and how well each row is met.

Least squares on the logarithms of all printed numbers, which count alike but for those that are
missed by far: they pull no harder than in proportion (soft L1).  How the model is laid out depends
on the pace: it is planned and fitted in turn until the layouts stay as they are.
"""

from collections.abc import Collection
from math import log

import numpy as np
import numpy.typing as npt
from published.conditions import BATCH, TASKS
from published.rows import CACHED, HOURS, PASSES
from published.systems import Case, Layout, cached, cost_of, laid_out, seconds
from scipy.optimize import least_squares

from mpiedge.plan.analytic import Pace
from mpiedge.plan.partition import Stage

START = Pace(speed=1.4e11, launch=1e-4)
WAYS = ("forward", "backward")
_ROUNDS = 6
_FAR = 0.1  # of a logarithm: about 10 %

Row = tuple[str, ...]
Layouts = dict[Case, Layout | None]


def hours(case: Case, layout: Layout | None, pace: Pace) -> dict[str, float | None]:
    """The hours of every task; None when it is out of memory."""
    if layout is None:
        return dict.fromkeys(TASKS)
    took = seconds(case, layout, pace)
    return {
        task: examples
        / BATCH
        * (took.first + (epochs - 1) * took.later + (epochs > 1) * took.moved)
        / 3600
        for task, (examples, epochs) in TASKS.items()
    }


def fitted(rows: Collection[Row] = (), start: Pace = START) -> Pace:
    """The pace that meets ``rows`` best, or all there are."""
    pace, before = start, Layouts()
    for _ in range(_ROUNDS):
        layouts = _layouts(pace)
        if layouts == before:
            break
        pace, before = _solve(layouts, pace, rows), layouts
    return pace


def residuals(pace: Pace) -> dict[Row, float]:
    """For every row the predicted over the published number, as a logarithm."""
    return _residuals(_layouts(pace), pace)


def _layouts(pace: Pace) -> Layouts:
    cases = (Case("t5-base", *key) for key, row in HOURS.items() if row)
    return {case: laid_out(case, pace) for case in cases}


def _solve(layouts: Layouts, pace: Pace, rows: Collection[Row]) -> Pace:
    def missed(logs: npt.NDArray[np.float64]) -> list[float]:
        found = _residuals(layouts, Pace(*np.exp(logs).tolist()))
        return [value for row, value in found.items() if not rows or row in rows]

    found = least_squares(missed, np.log(np.array(pace)), loss="soft_l1", f_scale=_FAR)
    return Pace(*np.exp(found.x).tolist())


def _residuals(layouts: Layouts, pace: Pace) -> dict[Row, float]:
    found = dict[Row, float]()
    for case, layout in layouts.items():
        for task, value in hours(case, layout, pace).items():
            published = HOURS[case.technique, case.system][task]
            if value is not None:
                found[case.technique, case.system, task] = log(value / published)
    for technique, pair in PASSES.items():
        for way, value, published in zip(WAYS, _through(technique, pace), pair, strict=True):
            found[technique, "fig8a", way] = log(value / published)
    replay = cached(Case("t5-base", "parallel", "pac"), pace)
    for way, value, published in zip(WAYS, replay, CACHED, strict=True):
        found["parallel", "fig8a cached", way] = log(value / BATCH / published)
    return found


def _through(technique: str, pace: Pace) -> tuple[float, float]:
    """Seconds an example, when a whole mini-batch goes through the stages as one (section 6.3)."""
    cost = cost_of(Case("t5-base", technique, "ecofl"), pace, BATCH)
    whole = Stage(0, range(len(cost.layers)), frozenset(range(len(cost.layers))))
    return cost.forward(whole) / BATCH, cost.backward(whole, True) / BATCH
