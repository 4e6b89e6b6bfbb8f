"""What a route's last rank is told of a micro-batch, and what it makes of it.

A model that writes text gives scores of its whole vocabulary at every position; beside a narrow
network that is a good part of all computing.  So they are made where a label is, and nowhere else
(our design).
"""

from typing import NamedTuple, Protocol

from torch import Tensor


class Objective(Protocol):
    """What a route's last rank computes from logits and labels."""

    def judged(self, labels: Tensor) -> Tensor | None:
        """Which positions have a label, [rows, length]; None where a row has one label."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses."""

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What an evaluation keeps of each row: [rows, k]."""


class Answer(NamedTuple):
    """A micro-batch's labels, and the part of a batch's loss that one of them is."""

    labels: Tensor
    scale: float


def counted(objective: Objective, answer: Answer) -> tuple[Answer, tuple[Tensor, ...]]:
    """The labels alone, in one row, and where they were: what the head's layer is given.

    Unchanged, and nothing, where a row has one label.
    """
    positions = objective.judged(answer.labels)
    if positions is None:
        return answer, ()
    return answer._replace(labels=answer.labels[positions].unsqueeze(0)), (positions,)
