"""Positions and the last token of a row, whichever side it is padded on."""

import torch
from torch import nn

from mpiedge.model.attention import fitting, last_real, positions

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0]])


def test_positions_count_real_tokens() -> None:
    found = positions(MASK)
    assert found.tolist() == [[0, 1, 2, 3], [0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_the_last_real_token_speaks_for_its_row() -> None:
    rows = torch.arange(16).view(4, 4, 1)
    assert last_real(rows, MASK).flatten().tolist() == [3, 5, 11, 13]


def test_rows_take_the_number_format_of_a_layer() -> None:
    rows = torch.ones(2, 3, dtype=torch.bfloat16)
    assert fitting(rows, nn.Linear(3, 1)).dtype is torch.float32
    assert fitting(rows, nn.Linear(3, 1).half()).dtype is torch.float16
