"""How many rows of a micro-batch each device of a group takes, for many stages at once.

The time of a stage is what it takes for any number of rows, plus so much for each: greedy is then
exact (each row goes where it ends first), and the rows that every greedy order gives away can be
found together, by bisection.  Worked on arrays, since a planner asks for every run of layers.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_HALVINGS = 40


def divide(rows: int, start: Floats, each: Floats, speeds: Floats, most: Counts) -> Counts:
    """Shares [stages, devices], at least one row a device, whose slowest device is fastest.

    A device of speed ``v`` takes ``(start + share * each) / v`` seconds, and ``most`` [stages,
    devices] rows at most.  Zeros where a stage cannot be shared out (our design, after the
    integer shares of heterogeneity-aware planners).
    """
    most = np.minimum(most, rows)
    able = (most >= 1).all(axis=1) & (most.sum(axis=1) >= rows) & (len(speeds) <= rows)
    shares = np.zeros((len(start), len(speeds)), np.int64)
    if able.any():
        # Where rows cost nothing every division is as fast: any price serves.
        free = each[able] <= 0
        price, base = np.where(free, 1.0, each[able]), np.where(free, 0.0, start[able])
        shares[able] = _distinct(rows, base / price, speeds, most[able])
    return shares


def slowest(shares: Counts, start: Floats, each: Floats, speeds: Floats) -> Floats:
    """Seconds of each stage's slowest device; infinite where there are no shares."""
    seconds: Floats = ((start[:, None] + shares * each[:, None]) / speeds).max(axis=1)
    return np.where(shares.any(axis=1), seconds, np.inf)


def _distinct(rows: int, start: Floats, speeds: Floats, most: Counts) -> Counts:
    """Shares where a row takes one unit of time; stages alike are worked out once."""
    plain = (start == 0) & (most == rows).all(axis=1)
    apart = np.flatnonzero(~plain)
    if plain.any():
        apart = np.append(apart, np.flatnonzero(plain)[:1])
    shares = np.zeros_like(most)
    shares[apart] = _greedy(rows, start[apart, None], speeds, most[apart])
    shares[plain] = shares[apart[-1]]
    return shares


def _greedy(rows: int, start: Floats, speeds: Floats, most: Counts) -> Counts:
    shares = _surely(rows, start, speeds, most)
    left = rows - shares.sum(axis=1)
    while (left > 0).any():
        following = np.where(shares < most, (start + shares + 1) / speeds, np.inf)
        chosen = following.argmin(axis=1)
        shares[np.arange(len(shares)), chosen] += left > 0
        left -= left > 0
    return shares


def _surely(rows: int, start: Floats, speeds: Floats, most: Counts) -> Counts:
    """Rows that greedy gives away whatever it does with the few last: those done by some time."""
    low, high = np.zeros_like(start), (start + rows) / speeds.min()
    shares = _by(low, start, speeds, most)
    for _ in range(_HALVINGS):
        if (rows - shares.sum(axis=1) <= len(speeds)).all():
            break
        middle = (low + high) / 2
        done = _by(middle, start, speeds, most)
        early = done.sum(axis=1, keepdims=True) <= rows
        low, high = np.where(early, middle, low), np.where(early, high, middle)
        shares = np.where(early, done, shares)
    return shares


def _by(time: Floats, start: Floats, speeds: Floats, most: Counts) -> Counts:
    """The rows that each device has done by a time; never less than one."""
    return np.clip(np.floor(time * speeds - start), 1, most).astype(np.int64)
