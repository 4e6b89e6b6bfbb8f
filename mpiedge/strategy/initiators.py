"""Whose turn it is: which client's examples make up which batch of an epoch.

    two batches of client 0, four of client 1, one of client 2

    turn = batch               0 1 2 0 1 1 1
    turn = batch, of 2         0 0 1 1 2 1 1
    turn = epoch               0 0 1 1 1 1 2
    turn = data                1 0 1 2 1 0 1     spread by how much there is of each

Every client's examples come once an epoch, and every epoch has the same turns.
"""

from collections.abc import Sequence

from mpiedge.errors import BadInput
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


def home(client: int, ranks: int) -> int:
    """The rank that has a client's data; where there are more clients than ranks, one of many."""
    return client % ranks


def period(row: Sequence[int]) -> int:
    """After how many turns a row repeats itself; its length where it never does."""
    fitting = (n for n in range(1, len(row)) if len(row) % n == 0)
    return next((n for n in fitting if tuple(row[:n]) * (len(row) // n) == tuple(row)), len(row))


def client_count(settings: StrategySettings, ranks: int, files: int) -> int:
    """How many clients there are: as many as asked for, as files are named, or as ranks."""
    if settings.clients and files and settings.clients != files:
        raise BadInput(
            f"strategy.clients is {settings.clients}, but task.client_files names {files} files; "
            f"name one for each client"
        )
    return settings.clients or files or ranks
