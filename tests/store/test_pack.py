"""From a micro-batch to the records of its examples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mpiedge.store.codec import codec
from mpiedge.store.layout import Layout
from mpiedge.store.pack import Outputs, Packing
from mpiedge.store.record import Label
from tests.store.stored import DECODER, PLAIN, counts, outputs, truth


def packed(examples: list[int], layers: range, layout: Layout) -> Packing:
    return Packing(Outputs(examples, layers, *outputs(examples, layers, layout)), layout)


@pytest.mark.parametrize(
    ("layers", "kept"), [(range(4), (1, 1)), (range(2), (1, 0)), (range(2, 4), (0, 1))]
)
def test_a_label_has_the_tokens_of_its_layers(layers: range, kept: tuple[int, int]) -> None:
    labels = [label for _, label in packed([8, 3], layers, DECODER).labels()]
    for label, example in zip(labels, [8, 3], strict=True):
        both = counts(example, DECODER)
        expected = (both.source * kept[0], both.target * kept[1])
        assert label == Label(example, layers.start, layers.stop, *expected)


def test_rows_stand_layer_after_layer() -> None:
    packing = packed([5, 9], range(4), DECODER)
    for row, label in packing.labels():
        content = np.zeros(
            (DECODER.rows(label.layers, label.counts), DECODER.row_bytes()), dtype=np.uint8
        )
        packing.write(row, codec(DECODER), content)
        expected = torch.cat(truth(label.example, DECODER))
        assert torch.equal(torch.from_numpy(content.view(np.float32)), expected)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float32])
def test_masks_of_any_number_format(kind: torch.dtype) -> None:
    hidden, masks = outputs([4, 2], range(3), PLAIN)
    given = Outputs([4, 2], range(3), hidden, [mask.to(kind) for mask in masks])
    sources = [label.source for _, label in Packing(given.on_cpu(), PLAIN).labels()]
    assert sources == [counts(one, PLAIN).source for one in (4, 2)]
    assert all(type(one) is int for one in sources)


def test_gradients_are_left_behind() -> None:
    hidden, masks = outputs([4], range(3), PLAIN)
    given = Outputs([4], range(3), [one.requires_grad_() for one in hidden], masks)
    assert not any(one.requires_grad for one in given.on_cpu().hidden)


def test_half_precision_activations_are_stored_exactly() -> None:
    layout = replace(PLAIN, dtype="bfloat16")
    values = torch.randn(1, 3, 8).bfloat16()
    packing = Packing(Outputs([0], range(1), [values], [torch.ones(1, 3)]).on_cpu(), layout)
    content = np.zeros((3, layout.row_bytes()), dtype=np.uint8)
    packing.write(0, codec(layout), content)
    assert torch.equal(torch.from_numpy(content).view(torch.bfloat16), values[0])
