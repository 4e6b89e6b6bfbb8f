"""What blocks and bandwidth are allocated from, and the answer: checked tables and a budget.

Apart from the solvers, so that the exact ones, the dual ascents and the comparison schemes start
from the same values and answer in the same form.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.bandwidth_shares import Objective, Shares, check_terms, share
from mpiedge.plan.depths import Bools, Floats, Ints, depth_table
from mpiedge.plan.matching import check_room, depths_of

Method = Literal["exact", "dual"]


class Allocation(NamedTuple):
    """The device of each block [blocks], the bandwidth of each device [devices], and the round.

    Devices without a block have no bandwidth; ``round_time`` is in seconds.
    """

    matching: Ints
    shares: Floats
    round_time: float


@dataclass(frozen=True)
class Problem:
    """The seconds of computing [devices, blocks], the payloads and the budget of one round.

    ``payload`` is in seconds per unit of bandwidth, [devices, 1] or [devices, blocks].  Seconds
    never fall with depth, and are infinite where a device cannot take a block.
    """

    seconds: Floats
    payload: Floats
    budget: float
    objective: Objective

    @property
    def payloads(self) -> Floats:
        """The payload of every device and block [devices, blocks]."""
        return np.broadcast_to(self.payload, self.seconds.shape)

    def required(self, deadline: float) -> Floats:
        """The bandwidth [devices, blocks] to meet a deadline of objective A.

        Where none would do it is twice the budget: finite, and more than any answer may use.
        """
        left = deadline - self.seconds
        needed = np.full(left.shape, np.inf)
        np.divide(self.payloads, left, out=needed, where=left > 0)
        return np.asarray(np.minimum(needed, 2 * self.budget), dtype=np.float64)

    def shared(self, matching: Ints) -> Shares:
        """The best shares of a matching's devices, in the order of the blocks."""
        blocks = np.arange(len(matching))
        loads = self.payloads[matching, blocks]
        return share(self.seconds[matching, blocks], loads, self.budget, self.objective)

    def allocation(self, matching: Ints, shares: Shares | None = None) -> Allocation:
        """The answer with this matching, and with the best shares when none are given."""
        given = shares or self.shared(matching)
        of_device = np.zeros(len(self.seconds))
        of_device[matching] = given.shares
        return Allocation(matching, of_device, given.round_time)


def problem_of(
    latency: ArrayLike,
    payload: ArrayLike,
    budget: float,
    *,
    objective: Objective = "A",
    feasible: ArrayLike | None = None,
) -> Problem:
    """The problem of these tables; a device of infinite payload, without a link, takes no block.

    Raises BadInput for tables or a budget that cannot be used, Infeasible when not all blocks
    have a device.
    """
    check_terms(budget, objective)
    seconds = depth_table(latency, feasible)
    payloads = _payload(payload, seconds)
    cannot_send = np.logical_or.reduce(np.isinf(payloads), axis=1)
    reachable = np.where(cannot_send[:, None], np.inf, seconds)
    try:
        check_room(depths_of(reachable), seconds.shape[1])
    except Infeasible as error:
        raise Infeasible(_without_link(str(error), cannot_send)) from None
    return Problem(reachable, payloads, float(budget), objective)


def _payload(payload: ArrayLike, seconds: Floats) -> Floats:
    loads = np.asarray(payload, dtype=np.float64)
    if loads.ndim == 1:
        loads = loads[:, None]
    if loads.ndim != 2 or loads.shape not in ((len(seconds), 1), seconds.shape):
        raise BadInput(
            f"payload has shape {np.shape(payload)} and latency {seconds.shape}; give a payload "
            f"for each of the {len(seconds)} devices, or a table like that of the latency"
        )
    bad = np.argwhere(~(loads >= 0))
    if len(bad):
        device, block = bad[0].tolist()
        raise BadInput(
            f"the payload of device {device} is {loads[device, block]} s per unit of bandwidth and "
            f"must be 0 or more; give infinity for a device without bandwidth"
        )
    return loads


def _without_link(message: str, cannot_send: Bools) -> str:
    if not cannot_send.any():
        return message
    return f"{message}; devices {np.flatnonzero(cannot_send).tolist()} have no bandwidth at all"
