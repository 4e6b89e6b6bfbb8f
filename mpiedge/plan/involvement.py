"""Which devices the bandwidth part of JBBA's Lagrangian involves, at given prices.

Minimises (sum alpha q)^2 - sum nu q over 0 <= q <= 1 with sum q = L.  Apart from the dual ascent,
because it is a small convex problem with an answer of its own (our reconstruction).

Since z^2 is the largest of 2 s z - s^2 over s, the minimum is the largest over s of

    -s^2 + the sum of the L smallest of (2 s alpha - nu)

For each choice of L entries that is a parabola in s, and their lower envelope is concave.  The
envelope's top is found between two parabolas, one rising and one falling at it.
"""

from typing import NamedTuple

import numpy as np

from mpiedge.plan.depths import Floats
from mpiedge.plan.dual_parts import smallest

_PARABOLAS = 40  # at most; about four are needed


class Involvement(NamedTuple):
    """The involvement, of the shape of alpha, and the minimum or a value just below it."""

    q: Floats
    value: float


class _Parabola(NamedTuple):
    """-s^2 + 2 s alpha - nu, with the sums over the chosen entries."""

    chosen: Floats
    alpha: float
    nu: float

    def at(self, s: float) -> float:
        return s * (2 * self.alpha - s) - self.nu


def involvement(alpha: Floats, nu: Floats, count: int) -> Involvement:
    """The minimum for ``count`` entries; alpha is infinite where none can be chosen."""
    can = np.isfinite(alpha)
    slopes, prices = np.where(can, alpha, 0.0), np.where(can, nu, 0.0)

    def parabola(values: Floats) -> _Parabola:
        chosen = smallest(np.where(can, values, np.inf), count)
        return _Parabola(chosen, float((chosen * slopes).sum()), float((chosen * prices).sum()))

    rising, falling = parabola(-prices), parabola(slopes)
    for _ in range(_PARABOLAS):
        s = _top(rising, falling)
        lowest = parabola(2 * s * slopes - prices)
        if lowest.at(s) >= min(rising.at(s), falling.at(s)):
            break
        rising, falling = (lowest, falling) if lowest.alpha > s else (rising, lowest)
    return Involvement(_mixed(rising, falling, s), lowest.at(s))


def _top(rising: _Parabola, falling: _Parabola) -> float:
    """Where the lower of the two parabolas is largest: a top of theirs, or where they cross."""
    if rising.alpha <= falling.alpha:
        return rising.alpha
    crossing = (rising.nu - falling.nu) / (2 * (rising.alpha - falling.alpha))
    return min(max(crossing, falling.alpha), rising.alpha)


def _mixed(rising: _Parabola, falling: _Parabola, s: float) -> Floats:
    """The mean of the two choices with sum alpha q = s, which attains the minimum."""
    span = rising.alpha - falling.alpha
    part = min(max((s - falling.alpha) / span, 0.0), 1.0) if span > 0 else 1.0
    return part * rising.chosen + (1 - part) * falling.chosen
