"""Scattering and gathering by a transport's messages, where it has nothing better."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from mpiedge.comm.circle import Gathering
from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.transport import Transport
from mpiedge.comm.wire import Memory, memory_of

_TAG = Tag(Kind.COLLECTIVE, 0, 1)


class MessageCircle:
    """A circle made of a transport's messages."""

    def __init__(self, transport: Transport, root: int, ranks: Sequence[int]) -> None:
        self._transport, self._root, self._ranks = transport, root, ranks

    def scatter(self, parts: Sequence[Memory], size: int) -> Memory:
        """A message to each rank."""
        for dest, part in zip(self._ranks, parts, strict=False):
            self._transport.send([torch.from_numpy(part)], dest, _TAG)
        return _bytes(self._transport, self._root)

    def gather(self, mine: Memory, sizes: Sequence[int]) -> Gathering:
        """A message to the root."""
        self._transport.send([torch.from_numpy(mine)], self._root, _TAG)
        here = self._transport.rank == self._root
        sources = self._ranks if here else ()
        return _Messages(lambda: tuple(_bytes(self._transport, rank) for rank in sources))


class _Messages:
    def __init__(self, receive: Callable[[], tuple[Memory, ...]]) -> None:
        self._receive = receive

    def finish(self) -> tuple[Memory, ...]:
        return self._receive()


def _bytes(transport: Transport, source: int) -> Memory:
    (tensor,) = transport.recv(source, _TAG)
    return np.asarray(memory_of(tensor))
