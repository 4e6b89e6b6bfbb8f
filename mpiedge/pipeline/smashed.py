"""What a device sends of its examples: hidden states without padding, and what is asked of them.

    numbers | tokens of each | labels | targets of each | targets | hidden [1, tokens of all, width]

The text stays where it is: whoever reads this gets each example with as many tokens as it had, but
none of them.  Labels have to come along, since the loss is computed where the model ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded


class Smashed(NamedTuple):
    """Some examples as they left a layer."""

    numbers: Batch
    answers: tuple[Encoded, ...]  # each with its label, and blanks for its tokens
    hidden: Tensor  # [1, tokens of all, width]

    def rows(self) -> tuple[Tensor, ...]:
        """Each example's hidden states [tokens, width]."""
        return torch.split(self.hidden[0], [len(answer.tokens) for answer in self.answers])


def blanked(example: Encoded) -> Encoded:
    """An example of which only the number of its tokens is told, and its label."""
    return example._replace(tokens=(0,) * len(example.tokens), types=())


def written(smashed: Smashed) -> list[Tensor]:
    """The tensors of a message."""
    answers = smashed.answers
    return [
        torch.tensor(smashed.numbers, dtype=torch.int64),
        torch.tensor([len(answer.tokens) for answer in answers], dtype=torch.int64),
        torch.tensor([answer.label for answer in answers], dtype=torch.float64),
        torch.tensor([len(answer.target) for answer in answers], dtype=torch.int64),
        torch.tensor([t for answer in answers for t in answer.target], dtype=torch.int64),
        smashed.hidden,
    ]


def read(tensors: Sequence[Tensor]) -> Smashed:
    """What was ``written``."""
    numbers, tokens, labels, sizes, targets, hidden = tensors
    rows = zip(tokens.tolist(), labels.tolist(), torch.split(targets, sizes.tolist()), strict=True)
    answers = tuple(
        Encoded((0,) * count, (), tuple(target.tolist()), label) for count, label, target in rows
    )
    return Smashed(tuple(numbers.tolist()), answers, hidden)


def padded(rows: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Rows [tokens, width] side by side, where ``mask`` [rows, longest] has a token."""
    out = rows[0].new_zeros(*mask.shape, rows[0].shape[-1])
    out[mask != 0] = torch.cat(list(rows))
    return out
