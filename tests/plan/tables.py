"""Random tables of devices and blocks for the planners' tests, and all matchings of them."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from mpiedge.plan.bandwidth_problem import Problem, problem_of
from mpiedge.plan.bandwidth_shares import Objective
from mpiedge.plan.depths import Bools, Floats, Ints

Chance = np.random.Generator


def rows(chance: Chance, devices: int, blocks: int) -> Floats:
    """Seconds that rise with depth: with ties, with crossing rows, or the same but for speed."""
    kind = int(chance.integers(3))
    if kind == 0:
        return np.sort(chance.integers(0, 6, (devices, blocks)), axis=1).astype(np.float64)
    if kind == 1:
        return np.sort(chance.uniform(0.2, 2, (devices, blocks)), axis=1)
    speed = chance.uniform(0.5, 3, (devices, 1))
    return (1 + np.arange(blocks) * chance.uniform(0.3, 1) / blocks) / speed


def memory(chance: Chance, devices: int, blocks: int) -> Bools:
    """Which blocks fit each device: the shallowest so many of them."""
    return np.arange(blocks) < chance.integers(0, blocks + 1, (devices, 1))


def matchings(devices: int, blocks: int) -> Iterator[Ints]:
    """Every way to give each block a device of its own."""
    for found in permutations(range(devices), blocks):
        yield np.array(found)


def of_matching(table: Floats, matching: Ints) -> Floats:
    """A matching's entries of the table [blocks]."""
    return np.asarray(table[matching, np.arange(len(matching))])


def problem(
    chance: Chance,
    devices: int,
    blocks: int,
    *,
    objective: Objective = "A",
    by_block: bool = False,
) -> Problem:
    """A problem with room in memory for a matching, of channels between 0 and 25 dB."""
    payload = 1 / np.log2(1 + 10 ** (chance.uniform(0, 25, devices) / 10))
    if by_block:
        payload = payload[:, None] * chance.uniform(0.5, 2, blocks)
    fits = memory(chance, devices, blocks)
    fits[:blocks] |= np.tri(blocks, dtype=np.bool_)
    budget = float(chance.choice([0.3, 1.0, 3.0])) * blocks
    return problem_of(
        rows(chance, devices, blocks), payload, budget, objective=objective, feasible=fits
    )


def small(chance: Chance, count: int, objective: Objective = "A") -> Iterator[Problem]:
    """So many problems of at most 6 devices and 4 blocks, every other with payloads by block."""
    for number in range(count):
        blocks = int(chance.integers(1, 5))
        devices = blocks + int(chance.integers(0, 3))
        yield problem(chance, devices, blocks, objective=objective, by_block=bool(number % 2))
