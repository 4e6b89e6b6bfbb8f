"""What the engine is given where examples only pass through the model.

Nothing is judged at a route's end, nothing is tuned; somebody may count how much is done.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mpiedge.plan.partition import PartitionPlan, Stage


class NoObjective:
    """Makes nothing of what comes to a route's end."""

    def judged(self, labels: Tensor) -> Tensor | None:
        """No position."""
        return None

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Never asked for."""
        raise NotImplementedError

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Nothing of each row."""
        return torch.empty(0)


class NoTuning:
    """For a model that is only run."""

    def arrive(self, plan: PartitionPlan, index: int, batch: int, stage: Stage) -> None:
        """No weights come."""

    def closing(self, plan: PartitionPlan, index: int) -> AbstractContextManager[None]:
        """There are no backward passes."""
        return nullcontext()

    def update(self, plan: PartitionPlan, index: int, batch: int) -> None:
        """There are none."""


class Counting:
    """Tells which part of so many actions is done, whatever came of them."""

    def __init__(self, actions: int, tell: Callable[[float], None]) -> None:
        self._actions, self._tell, self._done = actions, tell, 0

    def result(self, number: int, value: Tensor) -> None:
        """Nobody wants it."""

    def acted(self) -> None:
        """An action is done."""
        self._done += 1
        self._tell(self._done / self._actions)
