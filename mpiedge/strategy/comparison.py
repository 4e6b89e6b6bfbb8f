"""A round of DEFT by every scheme, side by side: the tables that they all read, and their answers.

Apart from a run's own allotment, which is by one scheme: here nothing is done by the answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.bandwidth_problem import Problem
from mpiedge.plan.schemes import SCHEMES
from mpiedge.strategy.allotment import Allotment, Client, by, chosen, everybody, problem
from mpiedge.strategy.blocks import Table
from mpiedge.strategy.settings import StrategySettings

FEDLORA = "fedlora"


class Tables(NamedTuple):
    """What every client and block costs; block 0 is nearest the loss."""

    seconds: tuple[tuple[float, ...], ...]  # of computing, [clients][blocks]
    upload: tuple[tuple[float, ...], ...]  # seconds with the whole uplink, [clients][blocks]
    memory: tuple[int, ...]  # bytes, [blocks]
    fits: tuple[tuple[bool, ...], ...]  # the client's memory, [clients][blocks]


class Answer(NamedTuple):
    """What a scheme plans, or why it cannot."""

    scheme: str
    allotment: Allotment | None
    trouble: str = ""


@dataclass(frozen=True)
class Comparison:
    """The tables, and the answer of every scheme."""

    tables: Tables
    answers: tuple[Answer, ...]
    chosen: str  # the scheme that the run file names

    @property
    def answer(self) -> Answer:
        """The answer of the scheme that the run file names."""
        return next(answer for answer in self.answers if answer.scheme == self.chosen)


def compare(
    settings: StrategySettings, each: Table, full: Table, clients: Sequence[Client], *, seed: int
) -> Comparison:
    """Every scheme's first round; ``each`` is of the blocks, ``full`` of all layers at once.

    FedLoRA's round, in which every client tunes all layers for some steps, stands last.  Raises
    BadInput for tables that no scheme can use.
    """
    in_force = FEDLORA if settings.name == FEDLORA else chosen(settings)
    answers = [*_matched(settings, each, clients, seed), _all_layers(full, clients)]
    return Comparison(_tables(each, clients), tuple(answers), in_force)


def _matched(
    settings: StrategySettings, each: Table, clients: Sequence[Client], seed: int
) -> list[Answer]:
    try:
        of = problem(settings, each, clients, frozenset())
    except Infeasible as error:
        return [Answer(name, None, str(error)) for name in SCHEMES]
    return [_answer(name, settings, of, seed) for name in SCHEMES]


def _answer(name: str, settings: StrategySettings, of: Problem, seed: int) -> Answer:
    try:
        return Answer(name, by(name, settings, of, seed))
    except Infeasible as error:
        return Answer(name, None, str(error))


def _all_layers(full: Table, clients: Sequence[Client]) -> Answer:
    needed = full.memory[0]
    short = [k for k, client in enumerate(clients) if client.memory < needed]
    if short:
        least = min(clients[k].memory for k in short)
        return Answer(
            FEDLORA,
            None,
            f"all layers need {needed / 2**20:.1f} MiB, and clients {short} have less, at least "
            f"{least / 2**20:.1f} MiB",
        )
    unlinked = [k for k, client in enumerate(clients) if not client.uplink]
    if unlinked:
        return Answer(FEDLORA, None, f"clients {unlinked} have no bandwidth at all")
    return Answer(FEDLORA, everybody(full, clients, frozenset()))


def _tables(each: Table, clients: Sequence[Client]) -> Tables:
    speeds = np.array([[client.speed] for client in clients])
    rates = np.array([[client.uplink] for client in clients])
    memory = np.array([[client.memory] for client in clients])
    with np.errstate(divide="ignore"):
        upload = np.array(each.payload, dtype=float)[None, :] / rates
    return Tables(
        tuple(map(tuple, (np.array(each.seconds)[None, :] / speeds).tolist())),
        tuple(map(tuple, upload.tolist())),
        each.memory,
        tuple(map(tuple, (memory >= np.array(each.memory)[None, :]).tolist())),
    )
