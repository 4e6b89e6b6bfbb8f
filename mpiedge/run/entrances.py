"""A ring's prefix cache: what entered a block, kept where the block is, so that routes start there.

As long as everything below a block is at rest, what enters it for an example is the same in every
epoch, and neither the embedding nor the blocks below need to run again.  Our own addition to
RingAda; the store is the one of PAC's activations.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.backbone import Backbone, computed
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.pipeline.portion import MicroBatch
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.clients import Clients, Rota
from mpiedge.run.kept import Kept
from mpiedge.run.opening import Opened
from mpiedge.strategy.strategy import Phase
from mpiedge.task.sampler import Batch


class Entrances:
    """What entered some blocks on this rank, for every client's examples, during one run."""

    def __init__(self, opened: Opened, clients: Clients, rota: Rota, count: int) -> None:
        self._opened, self._clients, self._rota, self._count = opened, clients, rota, count
        self._left = open_tokenizer(opened.settings.model.name).padding_side == "left"
        self._tokens = [n for client in sorted(clients.tokens) for n in clients.tokens[client]]
        self._kept = Kept(opened, "ring")
        self._cache = self._kept.cache

    @property
    def stored(self) -> int:
        """Bytes on this rank's disk."""
        return self._kept.stored

    def check_room(self, phases: Sequence[Phase]) -> None:
        """Raise BadInput where the disk has less room than this rank will need; called by all."""
        held = set(phases[0].plan.layers_of(self._opened.transport.rank))
        self._kept.check_room(self._tokens, len(held.intersection(phases[0].entrances)))

    @contextmanager
    def recording(self, layers: Sequence[int]) -> Iterator[Callable[[int, range], Backbone]]:
        """Backbones that keep what enters ``layers``; afterwards all of it is on the disk."""

        def backbones(number: int, held: range) -> Backbone:
            examples = self._examples(number)
            kept = frozenset(layers).intersection(held) if examples else frozenset[int]()

            def backbone(
                layer: int, x: Activation, compute: Callable[[], Activation]
            ) -> Activation:
                if layer in kept:
                    came = range(layer - 1, layer)
                    self._cache.put(examples, came, [x.hidden.detach().cpu()], [x.mask.cpu()])
                return compute()

            return backbone if kept else computed

        yield backbones
        self._cache.finish()

    @contextmanager
    def replaying(
        self, plan: PartitionPlan, numbers: Sequence[int]
    ) -> Iterator[Callable[[int], MicroBatch]]:
        """What enters the routes that start on this rank, for the run's micro-batches ``numbers``.

        Asked for in their order.
        """
        layer = plan.routes[0][0].layers.start - 1
        rank, dtype = self._opened.transport.rank, self._opened.blueprint.dtype
        # Worked out beforehand: the thread that reads ahead must not share the order of examples.
        due = {n: self._standing(n) for n in numbers if plan.route(n)[0].rank == rank}
        with self._kept.replays(due.values(), range(layer, layer + 1), self._left) as replays:

            def source(number: int) -> MicroBatch:
                mask = self._mask(due[number])
                hidden = next(replays).padded(layer, mask).to(dtype)
                return MicroBatch(mask, {}, torch.empty(0), 0.0, hidden)

            yield source

    def close(self) -> None:
        """Remove what was kept."""
        self._kept.close()

    def _examples(self, number: int) -> Batch:
        """The examples of a micro-batch, by their numbers among those of all clients."""
        batch, index = divmod(number, self._count)
        client = self._rota.place(batch).client
        portion = self._rota.portions(batch)[index]
        return tuple(self._clients.number(client, example) for example in portion)

    def _standing(self, number: int) -> Batch:
        """The same; for an empty micro-batch the example that stands in for it."""
        client = self._rota.place(number // self._count).client
        return self._examples(number) or (self._clients.number(client, 0),)

    def _mask(self, examples: Batch) -> Tensor:
        """The mask [rows, longest] that the examples have when they are put side by side."""
        counts = torch.tensor([self._tokens[example] for example in examples])[:, None]
        longest = int(counts.max())
        places = torch.arange(longest)
        return ((places >= longest - counts) if self._left else (places < counts)).long()
