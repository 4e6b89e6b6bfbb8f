"""How well the fit meets each row, and how well it meets rows that it was not shown."""

from collections.abc import Collection, Iterable, Mapping
from math import exp
from statistics import median

from published.fitting import Row, fitted, residuals

from mpiedge.plan.analytic import Pace


def told(pace: Pace, missed: Mapping[Row, float]) -> str:
    """The pace, and by how much every row is missed."""
    lines = [
        f"speed {pace.speed / 1e9:.1f} GFLOP/s, {pace.launch * 1e6:.0f} us a launch",
        *(f"{' '.join(row):<34}{_percent(value)}" for row, value in missed.items()),
        f"median of {len(missed)} rows: {100 * _middle(missed.values()):.1f} %",
    ]
    return "\n".join(lines)


def leaving_out(pace: Pace, rows: Collection[Row]) -> str:
    """Every technique and system in turn predicted from the others alone."""
    lines, all_missed = ["", "left out of the fit:"], list[float]()
    for name in dict.fromkeys(row[:2] for row in rows):
        missed = missed_without(name, pace, rows)
        all_missed += missed
        lines.append(f"{' '.join(name):<34}" + " ".join(map(_percent, missed)))
    return "\n".join([*lines, f"median: {100 * _middle(all_missed):.1f} %"])


def missed_without(name: Row, pace: Pace, rows: Collection[Row]) -> list[float]:
    """By how much the rows of a technique on a system are missed by a fit to the others."""
    others = [row for row in rows if row[:2] != name]
    found = residuals(fitted(others, pace))
    return [value for row, value in found.items() if row[:2] == name]


def _percent(value: float) -> str:
    return f"{100 * (exp(value) - 1):+6.1f} %"


def _middle(values: Iterable[float]) -> float:
    return median(abs(exp(value) - 1) for value in values)
