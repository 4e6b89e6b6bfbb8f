"""Matchings to compare CRUNCH with: one drawn at random, and the one of least total time.

Apart from CRUNCH, because nobody should train with them.
"""

import numpy as np
from numpy.typing import ArrayLike

from mpiedge.plan.depths import depth_table
from mpiedge.plan.exact_allocation import cheapest
from mpiedge.plan.matching import Matching, check_room, depths_of, read_out


def random_matching(
    latency: ArrayLike, feasible: ArrayLike | None = None, seed: int = 0
) -> Matching:
    """A matching that fits the devices' memory, each with the same probability.

    Blocks are given out deepest first, each to any device that is free and can hold it, of which
    there are equally many whatever was drawn before.

    Raises BadInput and Infeasible as crunch does.
    """
    seconds = depth_table(latency, feasible)
    depth = depths_of(seconds)
    check_room(depth, seconds.shape[1])
    drawn = np.random.default_rng(seed).random(seconds.shape)
    blocks = read_out(drawn, depth)
    return Matching(blocks, float(seconds[blocks, np.arange(len(blocks))].max()))


def sum_matching(latency: ArrayLike, feasible: ArrayLike | None = None) -> Matching:
    """The matching with the least sum of seconds, by the Hungarian method.

    Raises BadInput and Infeasible as crunch does.
    """
    seconds = depth_table(latency, feasible)
    check_room(depths_of(seconds), seconds.shape[1])
    blocks = cheapest(seconds)
    return Matching(blocks, float(seconds[blocks, np.arange(len(blocks))].max()))
