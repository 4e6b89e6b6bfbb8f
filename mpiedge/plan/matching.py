"""CRUNCH: one device for each block, so that the slowest of them is as fast as can be.

The matching of LoLa DEFT (arXiv 2407.09873).  The paper names its three steps, Cutting,
RecoUNting and CHecking; their content here is our reconstruction, with a proof.

A device that can tune a block can tune every shallower one, so the devices that can hold a block
are among those that can hold any block above it.  Of Hall's conditions for a matching, one for
each set of blocks, only one a block is then left: **all L blocks can be matched exactly if block
l can be held by L - l devices or more, for every l = 0..L-1**, since L - l blocks lie at its
depth or below.

Edges (a device and a block) are cut slowest first as long as the check holds; the edge that
cannot be cut is the latency.  Cutting them one at a time takes O(KL log K) for K devices.  Here
about half of the undecided edges are cut at once, and put back if the check fails.  Rows never
fall, so an edge list is not needed: a row's cut is a depth found by bisection, and all of it
takes O(K log L log KL) beside reading the table.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.depths import Floats, Ints, depth_table, depths_below


class Matching(NamedTuple):
    """The device of each block, integers [blocks], and the seconds of the slowest of them."""

    blocks: Ints
    latency: float


def crunch(latency: ArrayLike, feasible: ArrayLike | None = None) -> Matching:
    """Match every block to a device of its own; no other matching has a faster slowest device.

    ``latency`` are seconds [devices, blocks], block 0 nearest the loss; ``feasible`` says where
    the block fits the device's memory.  Rows that fall are made monotone with a warning.

    Raises BadInput for a table that cannot be used, Infeasible when not all blocks have a device.
    """
    seconds = depth_table(latency, feasible)
    slowest = bottleneck(seconds)
    return Matching(read_out(seconds, depths_of(seconds, slowest)), slowest)


def depths_of(seconds: Floats, limit: float = np.inf) -> Ints:
    """How many blocks, shallowest first, each device [devices] can tune within the limit."""
    beyond = np.nextafter(limit, np.inf) if limit < np.inf else np.inf
    none = np.zeros(len(seconds), dtype=np.intp)
    return depths_below(seconds, beyond, (none, none + seconds.shape[1]))


def bottleneck(seconds: Floats) -> float:
    """The least seconds within which all blocks of a checked table can be matched.

    Raises Infeasible when they cannot be matched at all.
    """
    blocks = seconds.shape[1]
    depth = depths_of(seconds)
    kept = np.zeros_like(depth)
    check_room(depth, blocks)
    while True:
        edge = _middle_edge(seconds, kept, depth)
        shallower = depths_below(seconds, edge, (kept, depth))  # CUT this edge and slower ones
        if check(recount(shallower, blocks)):
            depth = shallower
            continue
        back = depths_below(seconds, np.nextafter(edge, np.inf), (kept, depth))
        if check(recount(back, blocks)):
            return edge  # slower edges can be cut and this one cannot
        kept = back


def recount(depth: Ints, blocks: int) -> Ints:
    """Recounting: how many devices can still hold each block [blocks]."""
    return np.bincount(depth, minlength=blocks + 1)[:0:-1].cumsum()[::-1]


def check(counts: Ints) -> bool:
    """Checking: whether each block has as many devices as blocks lie at or below its depth."""
    return bool((counts >= _needed(len(counts))).all())


def check_room(depth: Ints, blocks: int) -> None:
    """Raise Infeasible when devices of these depths hold no matching: which block has none."""
    if blocks > len(depth):
        raise Infeasible(
            f"{blocks} blocks are more than the {len(depth)} devices, and each block needs a "
            f"device of its own; group the layers into at most {len(depth)} blocks, or add devices"
        )
    counts = recount(depth, blocks)
    if not check(counts):
        raise Infeasible(_shortage(counts))


def read_out(preference: Floats, depth: Ints) -> Ints:
    """The device of each block [blocks], deepest first: of the free ones the most preferred.

    ``depth`` passes the check; the smallest ``preference`` [devices, blocks] wins.  A block's
    candidates are also those of the block above it, so any choice leaves a device for the rest.
    """
    blocks = preference.shape[1]
    found = np.empty(blocks, dtype=np.intp)
    free = np.ones(len(depth), dtype=np.bool_)
    for block in reversed(range(blocks)):
        candidates = np.flatnonzero(free & (depth > block))
        found[block] = candidates[preference[candidates, block].argmin()]
        free[found[block]] = False
    return found


def _middle_edge(seconds: Floats, kept: Ints, depth: Ints) -> float:
    """An edge with at least a quarter of the undecided ones on either side.

    The median of the rows' medians, each weighing as much as its row has undecided edges.
    """
    rows = np.flatnonzero(depth > kept)
    medians = seconds[rows, (kept[rows] + depth[rows]) // 2]
    order = medians.argsort()
    weight = (depth - kept)[rows[order]].cumsum()
    return float(medians[order[np.searchsorted(weight, weight[-1] / 2)]])


def _needed(blocks: int) -> Ints:
    return np.arange(blocks, 0, -1, dtype=np.intp)


def _shortage(counts: Ints) -> str:
    blocks = len(counts)
    repair = "free memory, lower training.micro_batch_size, or use smaller blocks"
    tight = int(np.argmax(counts < _needed(blocks)))
    if not counts.all():
        alone = int(np.argmin(counts))
        return f"no device can hold block {alone} of blocks 0 to {blocks - 1}; {repair}"
    deep = f"block {tight} needs" if tight == blocks - 1 else f"blocks {tight} to {blocks - 1} need"
    return (
        f"{deep} {blocks - tight} devices of their own and only {counts[tight]} can hold "
        f"block {tight}; {repair}"
    )
