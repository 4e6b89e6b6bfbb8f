import torch

from mpiedge.task.collate import Padding, shift_right
from mpiedge.task.task import IGNORED, Encoded

EXAMPLES = [Encoded((5, 6, 7), (0, 1, 1)), Encoded((8,))]


def test_rows_are_filled_up_on_the_right() -> None:
    inputs = Padding(pad=9).inputs(EXAMPLES, torch.empty(0))
    assert inputs.tokens.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert inputs.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert inputs.types.tolist() == [[0, 1, 1], [0, 0, 0]]
    assert inputs.decoder_tokens.numel() == 0
    assert {x.dtype for x in inputs[:4]} == {torch.int64}


def test_rows_are_filled_up_on_the_left() -> None:
    inputs = Padding(pad=9, left=True).inputs(EXAMPLES, torch.empty(0))
    assert inputs.tokens.tolist() == [[5, 6, 7], [9, 9, 8]]
    assert inputs.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert inputs.types.tolist() == [[0, 1, 1], [0, 0, 0]]


def test_an_empty_micro_batch_has_no_rows() -> None:
    inputs = Padding(pad=9).inputs([], torch.empty(0))
    assert inputs.tokens.shape == inputs.mask.shape == (0, 0)


def test_shifted_as_transformers_does() -> None:
    from transformers.models.bart.modeling_bart import shift_tokens_right

    labels = torch.tensor([[5, 6, 2], [7, 2, IGNORED]])
    shifted = shift_right(labels, start=1, pad=0)
    assert shifted.tolist() == [[1, 5, 6], [1, 7, 2]]
    assert torch.equal(shifted, shift_tokens_right(labels, 0, 1))
    longer = torch.tensor([[5, 6, 2, 4], [7, 2, IGNORED, IGNORED]])
    assert shift_right(longer, start=1, pad=0).tolist() == [[1, 5, 6, 2], [1, 7, 2, 0]]
    assert longer[1, 2] == IGNORED
