"""Adapters that each client has to itself, and their average.

A rank may stand in for several clients, but a model is there only once: before a client's batch its
weights are put into it, with what the optimizer keeps of them, and those of the client before are
put aside.  So it makes no difference which clients share a rank.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mpiedge.comm.transport import Transport
from mpiedge.pipeline.hand_over import Named, hand_over
from mpiedge.run.phases import Entered
from mpiedge.run.resuming import Resumed, own

State = dict[str, tuple[Tensor, ...]]
"""A client's weights by name, each with what the optimizer keeps of it."""


class Copies:
    """The adapters of the clients on this rank, out of ``count`` clients on all ranks."""

    def __init__(self, transport: Transport, here: Entered, homes: Callable[[int], int]) -> None:
        self._transport, self._here = transport, here
        apart, layers_of = here.phase.plan.apart, here.shard.blueprint.layers_of
        tuned = here.shard.tuned_parameters()
        self._names = sorted(n for n in here.shard.tuned if apart.intersection(layers_of(n)))
        self._held = bool(self._names) and set(self._names) <= tuned.keys()
        self._first = self._state() if self._held else {}
        self._kept: dict[int, State] = {}
        self._current: int | None = None
        self._homes = homes

    def keep(self, clients: int) -> Named:
        """What a checkpoint has of the clients on this rank, by the names that ``own`` gives."""
        self._put_aside()
        every = self._every(clients).items()
        return {own(client, name): row for client, state in every for name, row in state.items()}

    def resume(self, resumed: Resumed, clients: int) -> None:
        """Go on from what a checkpoint has of all clients; called by all ranks."""
        for client in range(clients):
            owners, home = resumed.of_client(client), self._homes(client)
            # One client after the other, since not all have had a turn and with it moments.
            found = hand_over(self._transport, resumed.held, owners, {home: owners})
            if home == self._transport.rank:
                self._kept[client] = _unnamed(found, client)

    def enter(self, client: int) -> None:
        """The next batch is of this client, which is at home here."""
        if client != self._current:
            self._put_aside()
            self._take(self._kept.get(client, self._first))
            self._current = client

    def average(self, clients: int) -> None:
        """Give every client the mean of all ``clients``' adapters; called by all ranks."""
        mean = self._mean(clients)
        self._kept = {
            client: {name: (mean[name], *state[name][1:]) for name in mean}
            for client, state in self._every(clients).items()
        }

    def show(self, clients: int) -> None:
        """Put the mean of all clients' adapters where the layers are; called by all ranks."""
        mean = self._mean(clients)
        if self._held:
            self._here.update.take({name: (value,) for name, value in mean.items()})

    def _mean(self, clients: int) -> dict[str, Tensor]:
        self._put_aside()
        shapes = self._shapes()
        total = torch.zeros(sum(shape.numel() for shape in shapes.values()), dtype=torch.float64)
        for state in self._every(clients).values():
            total += torch.cat([state[name][0].double().flatten().cpu() for name in shapes])
        self._transport.all_reduce(total, range(self._transport.size))
        parts = torch.split(total / clients, [shape.numel() for shape in shapes.values()])
        return {
            name: part.view(shape).float()
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def _every(self, clients: int) -> dict[int, State]:
        """The clients at home here, also those that had no turn yet."""
        mine = [c for c in range(clients) if self._homes(c) == self._transport.rank]
        return {client: self._kept.get(client, self._first) for client in mine}

    def _shapes(self) -> dict[str, torch.Size]:
        model = self._here.shard.model
        return {name: model.get_parameter(name).shape for name in self._names}

    def _put_aside(self) -> None:
        if self._current is not None:
            self._kept[self._current] = self._state()
        self._current = None

    def _state(self) -> State:
        held = self._here.update.state(self._names)
        return {name: tuple(t.detach().clone() for t in row) for name, row in held.items()}

    def _take(self, state: State) -> None:
        self._here.update.forget(self._names)
        self._here.update.take(state)


def _unnamed(found: Mapping[str, tuple[Tensor, ...]], client: int) -> State:
    """The weights of a client by their own names."""
    return {name.removeprefix(own(client, "")): row for name, row in found.items()}
