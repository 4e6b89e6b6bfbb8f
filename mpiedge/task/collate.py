"""Examples side by side: padding, masks, and the tokens that a decoder is given.

tokens    a b c     mask  1 1 1     labels  x y z     decoder tokens  S x y
          d - -           1 0 0             u - -                     S u -
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpiedge.task.task import IGNORED, Encoded, Inputs


@dataclass(frozen=True)
class Padding:
    """How rows are filled up: with which token, and on which side."""

    pad: int
    left: bool = False

    def inputs(self, examples: Sequence[Encoded], labels: Tensor) -> Inputs:
        """Tokens, mask and types of the examples, beside their labels."""
        return Inputs(
            tokens=self.rows([example.tokens for example in examples], self.pad),
            mask=self.rows([(1,) * len(example.tokens) for example in examples], 0),
            types=self.rows(
                [example.types or (0,) * len(example.tokens) for example in examples], 0
            ),
            decoder_tokens=torch.empty(0, dtype=torch.int64),
            labels=labels,
        )

    def rows(self, rows: Sequence[tuple[int, ...]], fill: int) -> Tensor:
        """Rows of unequal length as one int64 tensor."""
        width = max(map(len, rows), default=0)
        gaps = [(fill,) * (width - len(row)) for row in rows]
        whole = [gap + row if self.left else row + gap for row, gap in zip(rows, gaps, strict=True)]
        return torch.tensor(whole, dtype=torch.int64).reshape(len(rows), width)


def shift_right(tokens: Tensor, start: int, pad: int) -> Tensor:
    """What a decoder is given to say ``tokens``: each one late, ``start`` first."""
    first = torch.full_like(tokens[:, :1], start)
    shifted = torch.cat([first, tokens[:, :-1]], dim=1)
    return shifted.masked_fill(shifted == IGNORED, pad)
