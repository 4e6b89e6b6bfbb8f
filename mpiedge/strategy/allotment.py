"""Which client tunes which block in a round, and with which part of the uplink.

The solvers are those of ``mpiedge.plan``; here a run's settings and what is known of its devices
become the tables that they want.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from mpiedge.errors import BadInput
from mpiedge.plan.bandwidth_problem import Allocation, Problem, problem_of
from mpiedge.plan.bandwidth_slack import loosened
from mpiedge.plan.schemes import scheme
from mpiedge.strategy.blocks import Table
from mpiedge.strategy.settings import StrategySettings

_JOINT = ("jbba", "jbba-dual")


@dataclass(frozen=True)
class Client:
    """What is known of a client's device."""

    speed: float  # relative to the reference device
    memory: int  # bytes
    uplink: float  # bytes per second if it had all of the uplink; 0: none


@dataclass(frozen=True)
class Allotment:
    """A round as it is planned."""

    blocks: tuple[int, ...]  # of each client; -1: it takes no part
    shares: tuple[float, ...]  # of the uplink, of each client
    seconds: float  # that the round takes


def check_clients(settings: StrategySettings, clients: int) -> None:
    """Raise BadInput for uplinks that are none."""
    given = settings.uplinks
    if given and (len(given) != clients or not all(0 <= each < inf for each in given)):
        raise BadInput(
            f"strategy.uplinks {given} has to name the bytes a second of each of the {clients} "
            f"clients, 0 or more"
        )


def problem(
    settings: StrategySettings, each: Table, clients: Sequence[Client], absent: frozenset[int]
) -> Problem:
    """Seconds and payloads of every client and block; the whole uplink is a bandwidth of 1.

    With ``strategy.replicas`` every block stands in the tables as often.
    """
    again = np.repeat(np.arange(len(each.seconds)), settings.replicas)
    speeds = np.array([client.speed for client in clients])
    there = np.array([client not in absent for client in range(len(clients))])
    fits = np.array([client.memory for client in clients])[:, None] >= np.array(each.memory)[again]
    rates = np.array([[client.uplink] for client in clients])
    with np.errstate(divide="ignore"):
        payload = np.array(each.payload, dtype=float)[again][None, :] / rates
    return problem_of(
        np.array(each.seconds)[again][None, :] / speeds[:, None],
        payload,
        1.0,
        objective="A" if settings.objective == "A" else "B",
        feasible=fits & there[:, None],
    )


def allot(settings: StrategySettings, of: Problem, seed: int) -> Allotment:
    """The round by the scheme that the settings name; raises Infeasible when there is none."""
    return by(chosen(settings), settings, of, seed)


def chosen(settings: StrategySettings) -> str:
    """The name of the scheme that the settings ask for."""
    dual = settings.allocation == "jbba" and settings.solver == "dual"
    return "jbba-dual" if dual else settings.allocation


def by(name: str, settings: StrategySettings, of: Problem, seed: int) -> Allotment:
    """The round by the scheme of that name; raises Infeasible when there is none.

    JBBA's, where the settings ask for it, leaves clients the slack that they ask for.
    """
    found = scheme(name)(of, seed)
    if name == chosen(settings) and name in _JOINT and of.objective == "A":
        found = _loosened(of, found, settings.slack)
    return _allotment(found, settings.replicas)


def _loosened(of: Problem, found: Allocation, slack: float) -> Allocation:
    blocks = np.arange(len(found.matching))
    seconds, loads = (each[found.matching, blocks] for each in (of.seconds, of.payloads))
    return of.allocation(found.matching, loosened(seconds, loads, of.budget, slack))


def everybody(each: Table, clients: Sequence[Client], absent: frozenset[int]) -> Allotment:
    """All clients that are there do all of it, with equal shares of the uplink."""
    there = [client not in absent for client in range(len(clients))]
    share = 1.0 / max(1, sum(there))
    times = [
        each.seconds[0] / client.speed + each.payload[0] / max(share * client.uplink, 1e-9)
        for client, here in zip(clients, there, strict=True)
        if here
    ]
    blocks = tuple(0 if here else -1 for here in there)
    return Allotment(
        blocks, tuple(share if here else 0.0 for here in there), max(times, default=0.0)
    )


def _allotment(found: Allocation, replicas: int) -> Allotment:
    blocks = [-1] * len(found.shares)
    for index, client in enumerate(found.matching.tolist()):
        blocks[client] = index // replicas
    return Allotment(tuple(blocks), tuple(found.shares.tolist()), float(found.round_time))
