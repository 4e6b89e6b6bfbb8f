"""Tensors between ranks.

Every part of mpiedge that speaks to another rank speaks through a ``Transport``.  A message is a
row of tensors, self-describing, so sender and receiver need agree only on who, and on a tag.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from mpiedge.comm.circle import Circle
from mpiedge.comm.ledger import Ledger
from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.telemetry import Telemetry

__all__ = ["Kind", "Tag", "Transport"]


class Transport(Protocol):
    """Point-to-point messages and collectives among ``size`` ranks."""

    rank: int
    size: int
    ledger: Ledger
    telemetry: Telemetry

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        """Start sending CPU tensors; they must not change until ``flush``.  Returns at once."""

    def recv(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """Wait for the message ``tag`` of ``source``; raises ``RankLost`` past the deadline."""

    def poll(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        """The message ``tag`` of ``source`` if it is here already."""

    def flush(self) -> None:
        """Wait until everything sent has left; raises ``RankLost`` past the deadline."""

    def all_reduce(self, tensor: Tensor, ranks: Sequence[int]) -> None:
        """Sum a contiguous CPU tensor in place over ``ranks``; called by each of them.

        A large one of 16 bits crosses in 16 bits, and may be rounded wherever it is added to.
        """

    def sum_later(self, tensor: Tensor, ranks: Sequence[int]) -> Callable[[], None]:
        """The same, begun and not waited for: what is returned waits until the sum is there.

        All ranks begin their sums in the same order, and wait for them in that order.
        """

    def broadcast(self, tensor: Tensor, root: int, ranks: Sequence[int]) -> None:
        """Copy ``root``'s tensor to the others of ``ranks``, in place."""

    def circle(self, root: int, ranks: Sequence[int]) -> Circle:
        """For scattering and gathering between ``root`` and the others of ``ranks``."""

    def close(self) -> None:
        """Leave together: every rank calls it when it has nothing more to say."""
