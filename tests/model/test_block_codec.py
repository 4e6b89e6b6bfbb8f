"""How near the codes come to the numbers, whatever the width, and what they take."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from mpiedge.model.block_codec import INT8, NF4, Codes, Format, encode, size

FORMS = pytest.mark.parametrize("form", [INT8, NF4], ids=["int8", "nf4"])
WIDTHS = pytest.mark.parametrize("columns", [1, 2, 3, 33, 64, 65, 97, 192, 1000])
ROUNDED = 1 + 2**-8  # a scale in bfloat16 may be so much larger


def drawn(rows: int, columns: int) -> Tensor:
    """Weights as they are, some rows a thousand times larger than others."""
    draw = torch.Generator().manual_seed(rows + columns)
    sizes = torch.logspace(-4, -1, rows)[:, None]
    return torch.randn(rows, columns, generator=draw) * sizes


def largest(values: Tensor, codes: Codes) -> Tensor:
    """Every number's largest neighbour in its block."""
    blocks, width = codes.codes.shape[1], codes.codes.shape[2] * codes.form.per_byte
    padded = torch.zeros(len(values), blocks * width)
    padded[:, : values.shape[1]] = values.abs()
    most = padded.view(len(values), blocks, width).amax(2, keepdim=True)
    return most.expand(-1, -1, width).flatten(1)[:, : values.shape[1]]


@WIDTHS
def test_eight_bits_are_off_by_half_a_step_at_most(columns: int) -> None:
    values = drawn(7, columns)
    codes = encode(values, INT8)
    error = (codes.decoded(torch.float32) - values).abs()
    assert (error <= largest(values, codes) / 127 / 2 * ROUNDED).all()
    assert codes.codes.dtype is torch.int8


@WIDTHS
def test_four_bits_are_the_nearest_of_sixteen_values(columns: int) -> None:
    values = drawn(7, columns)
    codes = encode(values, NF4)
    book = quantiles()
    scale = largest(values, codes).bfloat16().float()[..., None]
    nearest = (book * scale - values[..., None]).abs().amin(-1)
    error = (codes.decoded(torch.float32) - values).abs()
    assert ((error - nearest).abs() <= 1e-6 * scale[..., 0]).all()
    assert (error <= (book[1] - book[0]) / 2 * ROUNDED * scale[..., 0]).all()


def quantiles() -> Tensor:
    """NF4 as its paper makes it: equally spaced quantiles of each half, with a zero."""
    most = 0.9677083
    above = norm.ppf(np.linspace(most, 0.5, 9)[:-1])
    below = -norm.ppf(np.linspace(most, 0.5, 8)[:-1])
    every = np.sort(np.concatenate([above, [0.0], below]))
    return torch.tensor(every / every.max(), dtype=torch.float32)


def test_normal_weights_keep_most_of_what_they_say() -> None:
    values = torch.randn(256, 512, generator=torch.Generator().manual_seed(0))
    off = [(encode(values, form).decoded(torch.float32) - values).std() for form in (INT8, NF4)]
    assert off[0] < 0.007
    assert off[1] < 0.1


@FORMS
@WIDTHS
def test_what_they_take_is_known_before(form: Format, columns: int) -> None:
    codes = encode(drawn(5, columns), form)
    assert codes.nbytes == size(torch.Size((5, columns)), form)


def test_bytes_of_a_weight() -> None:
    shape = torch.Size((768, 3072))
    # A byte or half a one, and two for the scale of 64.
    assert size(shape, INT8) == 768 * 3072 * (1 + 2 / 64)
    assert size(shape, NF4) == 768 * 3072 * (1 / 2 + 2 / 64)
    # A narrow row is one narrow block.
    assert size(torch.Size((1, 32)), INT8) == 34


@FORMS
def test_zeros_stay_zeros(form: Format) -> None:
    values = drawn(4, 200)
    values[1] = 0
    values[:, 70:90] = 0
    decoded = encode(values, form).decoded(torch.float32)
    assert decoded.isfinite().all()
    assert not decoded[values == 0].any()
    assert decoded[0].any()


@FORMS
def test_the_largest_of_a_block_does_not_hurt_another_block(form: Format) -> None:
    values = torch.zeros(1, 128)
    values[0, 5], values[0, 100] = -0.0625, 2000.0
    decoded = encode(values, form).decoded(torch.float32)
    assert torch.allclose(decoded, values, rtol=1 / 254, atol=0)


@FORMS
def test_a_large_matrix_is_encoded_as_its_rows_are(form: Format) -> None:
    values = drawn(700, 1000)
    whole = encode(values, form)
    rows = [encode(values[i : i + 1], form) for i in (0, 262, 263, 699)]
    assert torch.equal(whole.codes[[0, 262, 263, 699]], torch.cat([row.codes for row in rows]))
    assert torch.equal(whole.scales[[0, 262, 263, 699]], torch.cat([row.scales for row in rows]))


@FORMS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_any_format(form: Format, dtype: torch.dtype) -> None:
    values = drawn(6, 130).to(dtype)
    codes = encode(values, form)
    plain = encode(values.float(), form)
    assert torch.equal(codes.codes, plain.codes)
    assert torch.equal(codes.decoded(dtype), plain.decoded(torch.float32).to(dtype))
    assert codes.decoded(dtype).dtype is dtype


@FORMS
def test_some_rows(form: Format) -> None:
    codes = encode(drawn(9, 70), form)
    chosen = torch.tensor([8, 0, 3, 3])
    expected = codes.decoded(torch.float32)[chosen]
    assert torch.equal(codes.rows(chosen).decoded(torch.float32), expected)


@FORMS
def test_a_damaged_weight_is_not_hidden(form: Format) -> None:
    values = drawn(3, 128)
    values[1, 3] = torch.nan
    decoded = encode(values, form).decoded(torch.float32)
    assert decoded[1, :64].isnan().all()
    assert decoded[[0, 2]].isfinite().all()
