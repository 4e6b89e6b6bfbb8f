"""The table a block matching is read from: seconds by device and depth, deeper never faster.

Apart from the matching, because every planner of blocks and bandwidth starts from the same
checked table: ``[devices, blocks]``, block 0 nearest the loss, infinite where a device lacks
the memory for a block.
"""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpiedge.errors import BadInput

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


class NotMonotone(UserWarning):
    """A device's deeper block was measured faster, or fits where a shallower one does not."""


def depth_table(latency: ArrayLike, feasible: ArrayLike | None = None) -> Floats:
    """Seconds [devices, blocks] that never fall with depth, infinite where not feasible.

    Backward passes the shallower blocks on its way to a deeper one, so a row that falls is a
    measurement's noise: it is replaced by its running maximum, and a block below one that does
    not fit is taken not to fit either, both with a NotMonotone warning (our design).

    Raises BadInput for negative or undefined seconds and for tables of unequal shape.
    """
    seconds = _seconds(latency)
    if feasible is not None:
        seconds = np.where(_fits(feasible, seconds), seconds, np.inf)
    falls = seconds[:, 1:] < seconds[:, :-1]
    if falls.any():
        _warn(seconds, np.argwhere(falls))
        seconds = np.maximum.accumulate(seconds, axis=1)
    return seconds


def depths_below(seconds: Floats, limit: float, within: tuple[Ints, Ints]) -> Ints:
    """How many blocks of each row [devices] take less than ``limit``, a bisection of all rows.

    ``within`` are the fewest and the most that each row can have.
    """
    low, high = within
    starts = np.arange(len(seconds)) * seconds.shape[1]
    last = seconds.shape[1] - 1
    for _ in range(int((high - low).max()).bit_length()):
        middle = (low + high) // 2
        faster = seconds.take(starts + np.minimum(middle, last)) < limit
        low = np.where(faster, np.minimum(middle + 1, high), low)
        high = np.where(faster, high, middle)
    return low


def _seconds(latency: ArrayLike) -> Floats:
    seconds = np.ascontiguousarray(latency, dtype=np.float64)
    if seconds.ndim != 2 or not seconds.size:
        raise BadInput(
            f"latency has shape {seconds.shape} and must be a table [devices, blocks] with at "
            f"least one of each; give one row per device"
        )
    if not seconds.min() >= 0:  # also where it is undefined
        device, block = np.argwhere(~(seconds >= 0))[0].tolist()
        raise BadInput(
            f"latency of device {device} for block {block} is {seconds[device, block]} s and must "
            f"be 0 or more; measure it again, or give infinity for a block it cannot hold"
        )
    return seconds


def _fits(feasible: ArrayLike, seconds: Floats) -> Bools:
    fits = np.asarray(feasible, dtype=np.bool_)
    if fits.shape != seconds.shape:
        raise BadInput(
            f"feasible has shape {fits.shape} and latency {seconds.shape}; give both as "
            f"[devices, blocks]"
        )
    return fits


def _warn(seconds: Floats, places: Ints) -> None:
    device, block = places[0].tolist()
    before, after = seconds[device, block], seconds[device, block + 1]
    warnings.warn(
        f"device {device} takes {before:.3g} s for block {block} and {after:.3g} s for the deeper "
        f"block {block + 1} (infinite where it does not fit; {len(places)} such falls in all); "
        f"a deeper block is taken to be as slow as the slowest above it",
        NotMonotone,
        stacklevel=4,
    )
