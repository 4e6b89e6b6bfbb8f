"""Who does what in each round: what the server knows of clients' devices, and plans by that.

At first devices are as fast as the run file says, or equal; once rounds have been measured, as they
were.  Apart from the rounds themselves, which only carry out what is decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.run.local_work import Done
from mpiedge.run.opening import Opened
from mpiedge.run.planning import cost_of
from mpiedge.strategy.allotment import (
    Allotment,
    Client,
    allot,
    check_clients,
    everybody,
    problem,
)
from mpiedge.strategy.blocks import Block, blocks_of, table, whole
from mpiedge.strategy.roles import SERVER, roles
from mpiedge.strategy.strategy import Rounds

_NEW = 0.5  # what the last round counts in a client's speed


class Task(NamedTuple):
    """A client's work in a round."""

    client: int
    rank: int  # where it is at home
    number: int  # of the round
    rounds: int  # of the run
    layers: tuple[int, ...]  # to tune
    examples: int  # by which its answer counts
    rate: float  # bytes per second to send it with; 0: as fast as can be


class Work(NamedTuple):
    """How much there is to do."""

    rounds: int  # of the run
    micro_batches: int  # of a client's batch
    before: Mapping[str, Any] = {}  # noted in the checkpoint that the run goes on from


class Allotting:
    """The server's plans, round after round; raises BadInput where none can be made."""

    def __init__(self, opened: Opened, kind: Rounds, sizes: Sequence[int], work: Work) -> None:
        self._opened, self._kind, self._sizes, self._rounds = opened, kind, sizes, work.rounds
        self._settings = opened.settings.strategy
        self._home = roles(self._settings, len(opened.hosts)).home
        cost = cost_of(opened)
        self._clients = first_clients(opened, len(sizes))
        self.blocks = blocks_for(opened, kind, len(sizes))
        if kind is Rounds.WEIGHTS:
            self.table = whole(cost, work.micro_batches, self._settings.local_steps)
        else:
            self.table = table(cost, self.blocks, work.micro_batches)
        self._planned: Allotment | None = None
        self._absent = frozenset[int]()
        self._speeds = dict[int, float](work.before.get("speeds", ()))
        if planned := work.before.get("planned"):
            self._planned = Allotment(tuple(planned[0]), tuple(planned[1]), planned[2])
        self._predicted, self._took = list[float](), list[float]()

    def tasks(self, number: int, absent: frozenset[int]) -> list[Task]:
        """The work of a round without some clients."""
        replan = self._settings.replan and number % self._settings.replan == 0
        if self._planned is None or absent != self._absent or replan:
            self._planned, self._absent = self._plan(number, absent), absent
        self._predicted.append(self._planned.seconds)
        batch = self._opened.settings.training.batch_size
        head = self._opened.blueprint.num_layers - 1
        found = []
        for client, block in enumerate(self._planned.blocks):
            if block >= 0:
                layers = tuple(sorted({*self.blocks[block], head}))
                share = self._planned.shares[client] * self._clients[client].uplink
                rate = share if self._settings.pacing else 0.0
                size = self._sizes[client]
                examples = size if self._kind is Rounds.WEIGHTS else min(size, batch)
                task = Task(
                    client, self._home(client), number, self._rounds, layers, examples, rate
                )
                found.append(task)
        return found

    def first(self) -> list[str]:
        """The first round in words; raises Infeasible where there is none."""
        planned = self._plan(0, frozenset())
        lines = [
            f"{len(self.blocks)} blocks of layers, nearest the loss first: {_named(self.blocks)}"
        ]
        for client, block in enumerate(planned.blocks):
            rank, what = self._home(client), "takes no part"
            if block >= 0:
                mib = self.table.payload[block] / 2**20
                share = planned.shares[client]
                what = f"block {block}, {mib:.2f} MiB up with {share:.0%} of the uplink"
            lines.append(f"client {client} on rank {rank}: {what}")
        return lines

    def measured(self, done: Mapping[Task, Done], seconds: float) -> None:
        """A round took so long, and each client's work so long of it."""
        self._took.append(seconds)
        assert self._planned is not None
        for task, each in done.items():
            block = self._planned.blocks[task.client]
            speed = self.table.seconds[block] / max(each.seconds, 1e-9)
            before = self._speeds.get(task.client, speed)
            self._speeds[task.client] = _NEW * speed + (1 - _NEW) * before

    def updated(self, names: set[str]) -> PartitionPlan:
        """The server's plan of an update of some weights only."""
        blueprint, settings = self._opened.blueprint, self._opened.settings
        layers = frozenset(layer for name in names for layer in blueprint.layers_of(name))
        stage = Stage(SERVER, range(blueprint.num_layers), layers)
        return PartitionPlan(((stage,),), (0,), settings.training.clip_norm > 0)

    def facts(self) -> dict[str, Any]:
        """What was planned and measured, as plain values."""
        if not self._took:
            return {}
        planned = self._planned.blocks if self._planned else ()
        return {
            "predicted_seconds": median(self._predicted),
            "measured_seconds": median(self._took),
            "paced": self._settings.pacing,
            "blocks": [list(block) for block in self.blocks],
            "block_of_client": list(planned),
            "bytes_up": [self.table.payload[b] if b >= 0 else 0 for b in planned],
        }

    def noted(self) -> dict[str, Any]:
        """What a checkpoint has to say, as plain values: a plan holds until the next is made.

        One that was made without some clients does not: they may be back.
        """
        planned = None if self._absent else self._planned
        row = [planned.blocks, planned.shares, planned.seconds] if planned else None
        return {"planned": row, "speeds": list(self._speeds.items())}

    def _plan(self, number: int, absent: frozenset[int]) -> Allotment:
        if self._settings.replan and len(self._speeds) > 0 and not self._settings.speeds:
            usual = median(self._speeds.values())
            self._clients = [
                replace(client, speed=self._speeds.get(i, usual))
                for i, client in enumerate(self._clients)
            ]
        if self._kind is Rounds.WEIGHTS:
            return everybody(self.table, self._clients, absent)
        of = problem(self._settings, self.table, self._clients, absent)
        return allot(self._settings, of, self._opened.settings.training.seed + number)


def first_clients(opened: Opened, count: int) -> list[Client]:
    """What is known of each client's device before the first round.

    Clients on one rank share its speed and its memory.
    """
    settings, size = opened.settings.strategy, len(opened.hosts)
    check_clients(settings, count)
    cost, home = cost_of(opened), roles(settings, size).home
    found = []
    for client in range(count):
        rank = home(client)
        together = sum(home(other) == rank for other in range(count))
        uplink = (
            settings.uplinks[client] if settings.uplinks else cost.between(rank, SERVER).bandwidth
        )
        device = cost.devices[rank]
        found.append(Client(device.speed / together, device.memory, uplink))
    return found


def blocks_for(opened: Opened, kind: Rounds, clients: int) -> tuple[Block, ...]:
    """The blocks that a run's clients tune."""
    settings, head = opened.settings.strategy, opened.blueprint.num_layers - 1
    tuned = sorted({i for name in opened.tuned for i in opened.blueprint.layers_of(name)})
    below = len([layer for layer in tuned if layer != head])
    if kind is Rounds.WEIGHTS:
        return (tuple(tuned),)
    return blocks_of(tuned, head, settings.blocks or min(clients // settings.replicas, below))


def _named(blocks: Sequence[Block]) -> str:
    return ", ".join(f"{min(b)}..{max(b)}" if len(b) > 1 else str(b[0]) for b in blocks)
