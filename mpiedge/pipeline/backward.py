"""How a stage's backward pass is made: whole, or in parts of which some can wait."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Passes(Protocol):
    """Backward passes through what a stage has computed."""

    def make(
        self, left: list[Tensor], gradients: Sequence[Tensor | None], entered: list[Tensor]
    ) -> None:
        """From the ``gradients`` of what ``left``, None for a loss, give ``entered`` its own."""

    def one(self) -> bool:
        """Make a part that waits; whether there was one."""

    def all(self) -> None:
        """Make all that waits: the weights are about to be updated."""


class Whole:
    """Nothing waits."""

    def make(
        self, left: list[Tensor], gradients: Sequence[Tensor | None], entered: list[Tensor]
    ) -> None:
        """Gradients of inputs and of weights at once."""
        torch.autograd.backward(left, gradients)

    def one(self) -> bool:
        """There is none."""
        return False

    def all(self) -> None:
        """There is nothing."""
