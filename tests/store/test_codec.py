"""Number formats of stored activations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.store.codec import codec
from mpiedge.store.layout import Layout

EXACT = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def there_and_back(values: Tensor, dtype: str) -> Tensor:
    layout = replace(Layout(1, 0, 1, dtype), width=values.shape[1])
    rows = np.full((len(values), layout.row_bytes()), 0xAB, dtype=np.uint8)
    codec(layout).write(values, rows)
    room = torch.full((1, len(values) + 2, values.shape[1]), 7.0)
    codec(layout).read(rows, room[:, 1:-1])
    assert bool((room[:, 0] == 7).all())
    assert bool((room[:, -1] == 7).all())
    return room[0, 1:-1]


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("width", [1, 5, 8, 768])
@pytest.mark.parametrize("given", EXACT.values())
def test_floats_are_rounded_and_no_more(dtype: str, width: int, given: torch.dtype) -> None:
    values = torch.randn(9, width).to(given)
    assert torch.equal(there_and_back(values, dtype), values.to(EXACT[dtype]).float())


@pytest.mark.parametrize("width", [1, 3, 4, 8, 768])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e4, 1e30])
def test_int8_is_off_by_half_a_level_at_most(width: int, size: float) -> None:
    values = torch.randn(50, width) * size * torch.logspace(-3, 3, 50)[:, None]
    found = there_and_back(values, "int8")
    largest = values.abs().amax(1, keepdim=True)
    assert bool(((found - values).abs() <= largest / 254 * (1 + 1e-5)).all())
    assert bool(((found.abs().amax(1, keepdim=True) - largest).abs() <= 1e-5 * largest).all())


def test_int8_of_zeros_and_of_next_to_nothing() -> None:
    values = torch.zeros(3, 4)
    values[1, 2] = 1e-40
    values[2, 0] = 1e-37
    found = there_and_back(values, "int8")
    assert bool((found[0] == 0).all())
    assert bool(((found - values).abs() <= 1.2e-38 * 127).all())


def test_int8_keeps_a_token_apart_from_another_ones_outlier() -> None:
    values = torch.tensor([[1e6, 1.0], [0.01, -0.005]])
    found = there_and_back(values, "int8")
    assert found[1].tolist() == pytest.approx([0.01, -0.005], rel=0.01)


@pytest.mark.parametrize(("dtype", "better"), [("float16", "bfloat16"), ("int8", "float32")])
def test_what_does_not_fit_is_refused(dtype: str, better: str) -> None:
    values = torch.ones(3, 4)
    values[1, 2] = 70000.0 if dtype == "float16" else float("inf")
    with pytest.raises(BadInput, match=f"{dtype} cannot hold .* set cache.dtype to {better}"):
        there_and_back(values, dtype)


def test_several_layers_at_once() -> None:
    layout = Layout(2, 3, 2, "int8")
    values = torch.randn(2, 4, 3)
    rows = np.zeros((8, layout.row_bytes()), dtype=np.uint8)
    codec(layout).write(values.view(8, 3), rows)
    room = torch.zeros(2, 5, 4, 3)  # [layers, rows, seq, width], as micro-batches are read
    codec(layout).read(rows, room[:, 3])
    assert torch.allclose(room[:, 3], values, atol=0.02)
    assert bool((room[:, 4] == 0).all())
