"""Shares of an uplink for devices whose blocks are settled: who gets how much of the budget.

Section 4.1 of our reconstruction of JBBA (arXiv 2407.09873 gives no equations).  Apart from the
search for the matching, which asks for the round time of many matchings.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mpiedge.errors import BadInput
from mpiedge.plan.depths import Floats

Objective = Literal["A", "B"]
"""A: a device uploads as soon as it is ready; B: all upload after the slowest has computed."""

_STEPS = 100  # of Newton's method, which needs about five


class Shares(NamedTuple):
    """The bandwidth of each device, in the budget's unit, and the seconds of the round."""

    shares: Floats
    round_time: float


def share(
    latencies: ArrayLike, payloads: ArrayLike, budget: float, objective: Objective = "A"
) -> Shares:
    """The shares, adding up to ``budget``, with which the round is shortest.

    ``latencies`` are seconds of computing and ``payloads`` seconds per unit of bandwidth, of the
    same devices.  A: the round is the longest sum of both, and every device with something to
    send finishes at the same time.  B: it is the longest computing and the longest upload after
    it, and every upload takes the same time.

    Raises BadInput for a budget, payloads or seconds that cannot be used.
    """
    check_terms(budget, objective)
    seconds, loads = _checked(latencies, payloads)
    sends = loads > 0
    if not sends.any():
        return Shares(np.full(len(loads), budget / len(loads)), float(seconds.max()))
    shares = np.zeros(len(loads))
    if objective == "B":
        shares = budget * loads / loads.sum()
        return Shares(shares, float(seconds.max() + loads.sum() / budget))
    latest = float(seconds[sends].max())
    spare = latest - seconds[sends]
    upload = _last_upload(spare, loads[sends], budget)
    shares[sends] = loads[sends] / (upload + spare)
    return Shares(shares * (budget / shares.sum()), float(max(latest + upload, seconds.max())))


def split_equally(
    latencies: ArrayLike, payloads: ArrayLike, budget: float, objective: Objective = "A"
) -> Shares:
    """The same share for every device, and the round it makes, as a comparison."""
    check_terms(budget, objective)
    seconds, loads = _checked(latencies, payloads)
    upload = loads * (len(loads) / budget)
    ends = seconds + upload if objective == "A" else seconds.max() + upload
    return Shares(np.full(len(loads), budget / len(loads)), float(ends.max()))


def check_terms(budget: float, objective: Objective) -> None:
    """Raise BadInput for an unknown objective, or a budget that nothing can be sent with."""
    if objective not in ("A", "B"):
        raise BadInput(f'objective is {objective!r} and must be "A" or "B"')
    if not 0 < budget < np.inf:
        raise BadInput(
            f"the bandwidth budget is {budget} and must be a finite number above 0; give the "
            f"uplink's bandwidth"
        )


def _checked(latencies: ArrayLike, payloads: ArrayLike) -> tuple[Floats, Floats]:
    seconds = np.asarray(latencies, dtype=np.float64)
    loads = np.asarray(payloads, dtype=np.float64)
    if seconds.ndim != 1 or seconds.shape != loads.shape or not len(seconds):
        raise BadInput(
            f"latencies have shape {seconds.shape} and payloads {loads.shape}; give one of each "
            f"for every device that takes part"
        )
    for name, values in (("latency", seconds), ("payload", loads)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise BadInput(
                f"a {name} of {values.tolist()} is not a finite number of seconds, 0 or more; "
                f"leave out a device that cannot compute or send"
            )
    return seconds, loads


def _last_upload(spare: Floats, loads: Floats, budget: float) -> float:
    """The u with sum(loads / (u + spare)) = budget: seconds of the latest device's upload.

    Newton's method on the inverse of the sum, which is concave and rises with u, so that it
    comes from below without passing the root.  One spare is 0.
    """
    upload = float((loads / budget - spare).max())
    for _ in range(_STEPS):
        rates = loads / (upload + spare)
        total = float(rates.sum())
        slope = float((rates / (upload + spare)).sum())
        step = total * (total / budget - 1) / slope
        if not upload + step > upload:
            break
        upload += step
    return upload
