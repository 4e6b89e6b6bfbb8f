"""Shares of an uplink that leave room: a round a little longer than the shortest, sent earlier.

With the shares of the shortest round all devices end at the same moment, and the uplink that the
slowest one needs for a moment more is taken from those that are ready early: they send slowly until
its end.  One of them that computes longer than foreseen then makes the round longer by as much.
For a hundredth of the round most of that can be had back (our design; the paper has no such step).
"""

import numpy as np
from numpy.typing import ArrayLike

from mpiedge.plan.bandwidth_shares import Shares, share
from mpiedge.plan.depths import Floats

_ROUNDING = 1e-12  # of the budget: less than that is nothing to give away


def loosened(latencies: ArrayLike, payloads: ArrayLike, budget: float, slack: float) -> Shares:
    """The shares with the least seconds of sending, in a round longer by ``slack`` of itself.

    Of objective A; ``latencies`` are seconds of computing and ``payloads`` seconds per unit of
    bandwidth, as for ``share``, which raises BadInput for what cannot be used.
    """
    shortest = share(latencies, payloads, budget)
    seconds, loads = (np.asarray(each, dtype=np.float64) for each in (latencies, payloads))
    sends = loads > 0
    if not sends.any() or not slack:
        return shortest
    longest = (1 + slack) * shortest.round_time
    least = loads[sends] / (longest - seconds[sends])
    if least.sum() > budget * (1 - _ROUNDING):
        return shortest
    shares = np.zeros(len(loads))
    shares[sends] = _quickest(least, np.sqrt(loads[sends]), budget)
    ends = seconds[sends] + loads[sends] / shares[sends]
    return Shares(shares, float(max(ends.max(), seconds.max())))


def _quickest(least: Floats, weights: Floats, budget: float) -> Floats:
    """Shares of at least so much; the others' parts are in proportion to the roots of the loads.

    That is where the sum of loads over shares is least (Lagrange).
    """
    bound = np.zeros(len(least), dtype=bool)
    while True:
        free = budget - least[bound].sum()
        shares: Floats = np.where(bound, least, weights * (free / weights[~bound].sum()))
        short = shares < least
        if not short.any():
            return np.asarray(shares * (budget / shares.sum()), dtype=np.float64)
        bound |= short
