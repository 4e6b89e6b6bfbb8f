"""What a run would do and need: its phases, time, memory, messages and disk, before it begins.

Everything follows from the run file, the examples' lengths and what is known of the devices.  No
weights are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpiedge.comm.values import collectively
from mpiedge.plan.cost import CostModel, Device
from mpiedge.plan.prediction import Amount, Memory, Way
from mpiedge.run.clock import Clock
from mpiedge.run.comparing import Round, as_values, first_round
from mpiedge.run.disk import disk, reading, split_stores
from mpiedge.run.extent import Counted, counted
from mpiedge.run.foreseen_rounds import foreseen_rounds
from mpiedge.run.opening import Opened
from mpiedge.run.planning import cost_of, plan_run
from mpiedge.strategy.feeding import fed
from mpiedge.strategy.forecast import IDLE, NOTHING, Costs, Epoch, Forecast, forecast
from mpiedge.strategy.layout import layout
from mpiedge.strategy.reading import behind_disks
from mpiedge.strategy.roles import roles
from mpiedge.strategy.strategy import Phase, layers_of

_MIB = 2**20


@dataclass(frozen=True)
class Seat:
    """A rank as a run would use it."""

    rank: int
    host: str
    device: Device
    layers: tuple[int, ...]  # that it ever holds
    memory: Memory  # where it needs most
    disk: int  # bytes
    bare: int = 0  # bytes of the process before it has weights; 0: not known

    @property
    def short(self) -> int:
        """Bytes that are missing; 0: it fits."""
        return max(0, self.memory.total - self.device.memory)


@dataclass(frozen=True)
class Foresight:
    """A run that has not begun."""

    strategy: str
    clock: Clock
    phases: tuple[Phase, ...]
    seats: tuple[Seat, ...]
    forecast: Forecast
    round: Round | None = None  # the first one, where there are rounds
    model: str = ""

    @property
    def first(self) -> Epoch:
        """The first epoch; one in which nothing happens where there is none."""
        return self.forecast.epochs[0] if self.forecast.epochs else IDLE

    @property
    def last(self) -> Epoch:
        """The last epoch, for which everything is unfrozen or read back that will be."""
        return self.forecast.epochs[-1] if self.forecast.epochs else IDLE

    @property
    def trouble(self) -> str:
        """Why it cannot be done, in a line; empty: it can."""
        if self.round is not None and self.round.found.answer.trouble:
            return self.round.found.answer.trouble
        short = [seat for seat in self.seats if seat.short]
        return "; ".join(
            f"rank {seat.rank} needs {seat.memory.total / _MIB:.1f} MiB, "
            f"{seat.short / _MIB:.1f} MiB more than it has"
            for seat in short
        )


def foresee(opened: Opened) -> Foresight:
    """Plan a run and predict it; called by all ranks.  Raises BadInput where it cannot be."""
    one = counted(opened)
    phases = plan_run(opened, one.extent)
    stores = split_stores(opened, one)
    return collectively(opened.transport, lambda: _foreseen(opened, one, phases, stores))


def usual(cost: CostModel, filling: float) -> CostModel:
    """What layers cost for a micro-batch with that part of the most tokens there can be."""
    return replace(cost, layers=tuple(layer.scaled(filling) for layer in cost.layers))


def _foreseen(
    opened: Opened, one: Counted, phases: tuple[Phase, ...], stores: Sequence[Any]
) -> Foresight:
    cost, clock = cost_of(opened), one.clock
    costs = Costs(usual(cost, one.filling), usual(cost, one.fullest))
    round_ = None
    if phases[0].rounds:
        size, clients = one.extent.micro_batches, len(one.sizes)
        round_ = first_round(opened, clients, size, one.filling)
        counts = [min(clock.epoch, clock.steps - k) for k in range(0, clock.steps, clock.epoch)]
        found = foreseen_rounds(round_, cost, counts)
    else:
        found = forecast(phases, costs, clock.epoch)
        found = fed(found, phases, costs, _examples(opened, one))
    stored = disk(opened, phases, stores, one.tokens)
    found = behind_disks(found, phases, clock.epoch, reading(opened, phases, stores, stored))
    seats = tuple(
        Seat(
            rank=rank,
            host=opened.hosts[rank].name,
            device=device,
            layers=tuple(sorted({i for phase in phases for i in layers_of(phase, rank)})),
            memory=found.memory.get(rank, NOTHING),
            disk=stored.get(rank, 0),
            bare=opened.cluster.members[rank].bare if opened.cluster else 0,
        )
        for rank, device in enumerate(cost.devices)
    )
    name, model = opened.settings.strategy.name, opened.settings.model.name
    return Foresight(name, clock, phases, seats, found, round_, model)


def _examples(opened: Opened, one: Counted) -> dict[int, int]:
    """The examples of an epoch of the clients on each rank."""
    home = roles(opened.settings.strategy, len(opened.hosts)).home
    found: dict[int, int] = {}
    for client, size in enumerate(one.sizes):
        found[home(client)] = found.get(home(client), 0) + size
    return found


def values(one: Foresight) -> dict[str, Any]:
    """All of it as plain values, for a program."""
    found: dict[str, Any] = {
        "strategy": one.strategy,
        "model": one.model,
        "ranks": len(one.seats),
        "updates": one.clock.steps,
        "updates_of_epoch": one.clock.epoch,
        "examples": one.clock.examples,
        "fits": not one.trouble,
        "trouble": one.trouble,
        "seconds": one.forecast.seconds if one.forecast.epochs else None,
        "recording_seconds": one.forecast.before.seconds,
        "phases": [_phase(phase) for phase in one.phases],
        "devices": [_seat(one, seat) for seat in one.seats],
        "epochs": [
            {"seconds": epoch.seconds, "links": [_link(*link) for link in epoch.sent.items()]}
            for epoch in one.forecast.epochs
        ],
    }
    return found if one.round is None else {**found, "round": as_values(one.round)}


def _phase(phase: Phase) -> dict[str, Any]:
    return {
        "updates": phase.batches,
        "source": phase.source.value,
        "micro_batches": len(phase.plan.micro_batches),
        "groups": [
            {
                "layers": [held.layers.start, held.layers.stop - 1],
                "ranks": list(held.shares),
                "shares": list(held.shares.values()),
            }
            for held in layout(phase.plan)
        ],
        "feeders": [
            {"rank": stage.rank, "layers": [stage.layers.start, stage.layers.stop - 1]}
            for stage in phase.feeders
        ],
    }


def _seat(one: Foresight, seat: Seat) -> dict[str, Any]:
    return {
        "rank": seat.rank,
        "host": seat.host,
        "speed": seat.device.speed,
        "layers": list(seat.layers),
        "memory_bytes": {**seat.memory._asdict(), "total": seat.memory.total},
        "bare_bytes": seat.bare,
        "budget_bytes": seat.device.memory,
        "short_bytes": seat.short,
        "disk_bytes": seat.disk,
        "busy_seconds": [epoch.busy.get(seat.rank, 0.0) for epoch in one.forecast.epochs],
    }


def _link(way: Way, amount: Amount) -> dict[str, Any]:
    return {
        "source": way.source,
        "dest": way.dest,
        "what": way.what.value,
        "messages": amount.messages,
        "bytes": amount.bytes,
    }
