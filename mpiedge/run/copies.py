"""Adapters that each client has to itself, and their average.

A rank may stand in for several clients, but a model is there only once: before a client's
micro-batch its weights take their place in it.  They are tensors of their own, to which gradients
return also when another client's are in the model by then.  So it makes no difference which clients
share a rank.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mpiedge.comm.transport import Transport
from mpiedge.pipeline.hand_over import Named, hand_over
from mpiedge.run.phases import Entered
from mpiedge.run.resuming import Resumed, own


class Copies:
    """The adapters of the clients on this rank; ``homes`` are the ranks of all clients."""

    def __init__(self, transport: Transport, here: Entered, homes: tuple[int, ...]) -> None:
        self._transport, self._homes = transport, homes
        self._model, self._update = here.shard.model, here.update
        apart, layers_of = here.phase.plan.apart, here.shard.blueprint.layers_of
        tuned = here.shard.tuned_parameters()
        self._names = sorted(n for n in here.shard.tuned if apart.intersection(layers_of(n)))
        held = bool(self._names) and set(self._names) <= tuned.keys()
        self._shown = {name: tuned[name] for name in self._names} if held else {}
        self._own = {
            client: {name: nn.Parameter(p.detach().clone()) for name, p in self._shown.items()}
            for client, home in enumerate(homes)
            if home == transport.rank
        }
        here.update.adopt([p for weights in self._own.values() for p in weights.values()])

    def enter(self, client: int) -> None:
        """The next forward pass is of this client, which is at home here."""
        self._place(self._own[client])

    def rest(self, client: int) -> None:
        """The next update leaves a client's weights as they are."""
        self._update.rest(self._own[client].values())

    def weigh(self, client: int, factor: Callable[[], float]) -> None:
        """From now on a client's gradients count ``factor`` times."""
        if client in self._own:
            for parameter in self._own[client].values():
                # Called for every micro-batch's part of the gradient, before these are summed.
                parameter.register_hook(  # type: ignore[no-untyped-call]
                    lambda gradient: gradient * factor()
                )

    def average(self) -> None:
        """Give every client the mean of all clients' adapters; called by all ranks."""
        mean = self._mean()
        for weights in self._own.values():
            _copy(mean, weights)

    def show(self) -> None:
        """Put the mean of all clients' adapters where the layers are; called by all ranks."""
        mean = self._mean()
        self._place(self._shown)
        _copy(mean, self._shown)

    def keep(self) -> Named:
        """What a checkpoint has of the clients on this rank, by the names that ``own`` gives."""
        return {
            own(client, name): (parameter.detach(), *self._update.kept(parameter))
            for client, weights in self._own.items()
            for name, parameter in weights.items()
        }

    def resume(self, resumed: Resumed) -> None:
        """Go on from what a checkpoint has of all clients; called by all ranks."""
        for client, home in enumerate(self._homes):
            owners = resumed.of_client(client)
            # One client after the other, since not all have had a turn and with it moments.
            found = hand_over(self._transport, resumed.held, owners, {home: owners})
            for name, parameter in self._own.get(client, {}).items():
                value, *moments = found[own(client, name)]
                _copy({name: value}, {name: parameter})
                if moments:
                    self._update.keep(parameter, moments)

    def _place(self, weights: dict[str, nn.Parameter]) -> None:
        for name, parameter in weights.items():
            module, _, leaf = name.rpartition(".")
            self._model.get_submodule(module).register_parameter(leaf, parameter)

    def _mean(self) -> dict[str, Tensor]:
        shapes = {name: self._model.get_parameter(name).shape for name in self._names}
        total = torch.zeros(sum(shape.numel() for shape in shapes.values()), dtype=torch.float64)
        for weights in self._own.values():
            total += torch.cat([weights[name].detach().double().flatten().cpu() for name in shapes])
        self._transport.all_reduce(total, range(self._transport.size))
        parts = torch.split(total / len(self._homes), [shape.numel() for shape in shapes.values()])
        return {
            name: part.view(shape).float()
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }


def _copy(values: dict[str, Tensor], weights: dict[str, nn.Parameter]) -> None:
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(values[name])
