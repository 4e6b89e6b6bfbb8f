"""Whose turn it is: which client's examples make up which batch of an epoch.

    two batches of client 0, four of client 1, one of client 2

    turn = batch               0 1 2 0 1 1 1
    turn = batch, of 2         0 0 1 1 2 1 1
    turn = epoch               0 0 1 1 1 1 2
    turn = data                1 0 1 2 1 0 1     spread by how much there is of each

Every client's examples come once an epoch, and every epoch has the same turns.
"""

from collections.abc import Sequence

from mpiedge.strategy.portions import deal
from mpiedge.strategy.settings import StrategySettings


def turns(batches: Sequence[int], settings: StrategySettings) -> tuple[int, ...]:
    """The client of each batch of an epoch, in which client ``c`` has ``batches[c]`` batches."""
    if settings.turn == "data":
        return deal(batches)
    if settings.turn == "epoch":
        return tuple(client for client, count in enumerate(batches) for _ in range(count))
    left, row = list(batches), list[int]()
    while any(left):
        for client in range(len(left)):
            taken = min(left[client], settings.turn_batches)
            left[client] -= taken
            row += [client] * taken
    return tuple(row)


def period(row: Sequence[int]) -> int:
    """After how many turns a row repeats itself; its length where it never does."""
    fitting = (n for n in range(1, len(row)) if len(row) % n == 0)
    return next((n for n in fitting if tuple(row[:n]) * (len(row) // n) == tuple(row)), len(row))
