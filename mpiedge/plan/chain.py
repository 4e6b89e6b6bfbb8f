"""Cutting a row of layers into one run for each place of a row, so that the dearest is cheapest.

A dynamic programme over the last cut (our design), for any price of a run at a place.  Every place
has a layer at least, so that only as many cuts can be as there are layers to spare: of 1,000
places and 1,050 layers, 51.  Those are tried together, as arrays.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sizes = NDArray[np.int64]

Prices = Callable[[int, slice], Floats]
"""A place and the layers that its run may have -> a price [first, last]; infinite where a run
cannot be, and of no account where the last layer is before the first."""


def cut(
    price: Prices, places: int, layers: int, digits: int | None = None
) -> tuple[float, tuple[range, ...]]:
    """The price of the dearest run, infinite where nothing can be, and the runs.

    Among equals the smallest sum of squares is taken: the most even cut.  Prices are compared to
    ``digits`` after the point, if any are given.
    """
    spare = layers - places + 1
    dearest, squares = np.full(spare, np.inf), np.full(spare, np.inf)
    dearest[0] = squares[0] = 0.0
    upper, begins = np.triu(np.ones((spare, spare), np.bool_)), []
    for place in range(places):
        each = np.where(upper, price(place, slice(place, place + spare)), np.inf)
        worst, sums = np.maximum(dearest[:, None], each), squares[:, None] + each * each
        begin, columns = least((worst, sums), digits), np.arange(spare)
        dearest, squares = worst[begin, columns], sums[begin, columns]
        begins.append(begin)
    return float(dearest[-1]), _read(begins, layers)


def least(keys: Sequence[NDArray[np.float64]], digits: int | None = None) -> NDArray[np.intp]:
    """Along the first axis, the first place of the smallest key; of equals, of the next key's."""
    left = np.ones(keys[0].shape, np.bool_)
    for key in keys:
        seen = np.where(left, key if digits is None else np.round(key, digits), np.inf)
        left &= seen == seen.min(axis=0)
    first: NDArray[np.intp] = left.argmax(axis=0)
    return first


def sums(values: Sequence[float]) -> Floats:
    """The sum of every run [first, last].

    Added up from the first on, so that like runs have the same sum to the last bit.
    """
    each = np.asarray(values, np.float64)
    added: Floats = np.cumsum(np.triu(np.broadcast_to(each, (len(each), len(each)))), axis=1)
    return added


def sizes(values: Sequence[int]) -> Sizes:
    """The sum of every run [first, last], in whole numbers."""
    before: Sizes = np.concatenate([[0], np.cumsum(np.asarray(values, np.int64))])
    added: Sizes = before[None, 1:] - before[:-1, None]
    return added


def largest(values: Sequence[int]) -> Sizes:
    """The largest value of every run [first, last]; values are 0 or more."""
    each = np.asarray(values, np.int64)
    runs: Sizes = np.maximum.accumulate(np.triu(np.broadcast_to(each, (len(each),) * 2)), axis=1)
    return runs


def _read(begins: list[NDArray[np.intp]], layers: int) -> tuple[range, ...]:
    runs, stop = list[range](), layers
    for place in reversed(range(len(begins))):
        start = place + int(begins[place][stop - place - 1])
        runs.append(range(start, stop))
        stop = start
    return tuple(reversed(runs))
