"""Shares of a micro-batch where rows cost nothing beside the time for each, and all of them fit.

Such shares depend on the devices alone: no run of layers needs shares of its own, and a planner
can look at many groups.
"""

from collections.abc import Sequence
from heapq import heapify, heapreplace
from math import inf


def pace(speeds: Sequence[float], rows: int) -> float:
    """Seconds of the slowest device if a row takes one at speed 1; infinite if one has none."""
    if len(speeds) > rows:
        return inf
    shares = zip(even_shares(speeds, rows), speeds, strict=True)
    return max(share / speed for share, speed in shares)


def even_shares(speeds: Sequence[float], rows: int) -> tuple[int, ...]:
    """Rows, at least one a device, so that the slowest is fastest; there are enough for all.

    What ``shares.divide`` gives where nothing else bounds them, for one group.
    """
    shares = _surely(speeds, rows)
    ends = [((share + 1) / v, i) for i, (share, v) in enumerate(zip(shares, speeds, strict=True))]
    heapify(ends)
    for _ in range(rows - sum(shares)):
        _, first = ends[0]
        shares[first] += 1
        heapreplace(ends, ((shares[first] + 1) / speeds[first], first))
    return tuple(shares)


def _surely(speeds: Sequence[float], rows: int) -> list[int]:
    """Rows that are done by the time all would be if they could be cut up; one a device at least.

    Devices too slow for a row by then take one all the same, and leave fewer to the others.
    """
    total, left = sum(speeds), rows
    for slowest in sorted(speeds):
        if left * slowest >= total:
            break
        total, left = total - slowest, left - 1
    time = left / total if left else 0.0
    return [max(1, int(time * speed)) for speed in speeds]
