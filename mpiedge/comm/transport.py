"""Tensors between ranks.

Every part of mpiedge that speaks to another rank speaks through a ``Transport``.  A message is a
row of tensors, self-describing, so sender and receiver need agree only on who, and on a tag.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from torch import Tensor

from mpiedge.comm.ledger import Ledger


class Kind(IntEnum):
    """What a message carries."""

    ACTIVATION = 1
    GRADIENT = 2
    ENTRY = 3        # what a layer takes from outside: a decoder's tokens
    LABELS = 4
    LOSS = 5
    RECORDS = 6      # per-example results of an evaluation
    WEIGHTS = 7
    VALUE = 8        # plain values as JSON
    COLLECTIVE = 9   # sums and broadcasts


class Tag(NamedTuple):
    """What a message is, for its receiver and for whoever reads an error about it."""

    kind: Kind
    number: int = 0     # of the micro-batch, batch or layer
    place: int = 0      # the stage the message enters


class Transport(Protocol):
    """Point-to-point messages and collectives among ``size`` ranks."""

    rank: int
    size: int
    ledger: Ledger

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        """Start sending CPU tensors; they must not change until ``flush``.  Returns at once."""

    def recv(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """Wait for the message ``tag`` of ``source``; raises ``RankLost`` past the deadline."""

    def poll(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        """The message ``tag`` of ``source`` if it is here already."""

    def flush(self) -> None:
        """Wait until everything sent has left; raises ``RankLost`` past the deadline."""

    def all_reduce(self, tensor: Tensor, ranks: Sequence[int]) -> None:
        """Sum a contiguous CPU tensor in place over ``ranks``; called by each of them."""

    def broadcast(self, tensor: Tensor, root: int, ranks: Sequence[int]) -> None:
        """Copy ``root``'s tensor to the others of ``ranks``, in place."""

    def close(self) -> None:
        """Leave together: every rank calls it when it has nothing more to say."""
