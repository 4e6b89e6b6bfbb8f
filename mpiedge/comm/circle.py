"""Scattering and gathering bytes of known sizes between a root and the ranks around it.

Apart from sums and broadcasts, since here every rank has a part of its own size, and a gather goes
on while its ranks compute.
"""

from collections.abc import Sequence
from typing import Protocol

from mpiedge.comm.wire import Memory


class Gathering(Protocol):
    """A gather that is under way."""

    def finish(self) -> tuple[Memory, ...]:
        """Wait for it; on the root every rank's bytes, in their order, elsewhere nothing."""


class Circle(Protocol):
    """Some ranks in ascending order, the root among them; all call the same, in the same order."""

    def scatter(self, parts: Sequence[Memory], size: int) -> Memory:
        """This rank's part of ``size`` bytes; the root gives every rank's."""

    def gather(self, mine: Memory, sizes: Sequence[int]) -> Gathering:
        """Start bringing bytes to the root, which gives each rank's size."""
