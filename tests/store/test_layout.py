"""What a record holds, and how many bytes it takes."""

from pathlib import Path

import pytest
import torch

from mpiedge.store.layout import ITEM_BYTES, Counts, Layout, Stack
from tests.store.stored import mask_of, opened

T5 = Layout(26, 768, 13, "float32")  # T5-Base: embeddings and blocks of both stacks


def test_bytes_of_a_token() -> None:
    sizes = {dtype: Layout(1, 768, 1, dtype).row_bytes() for dtype in ITEM_BYTES}
    assert sizes == {"float32": 3072, "float16": 1536, "bfloat16": 1536, "int8": 776}
    assert Layout(1, 3, 1, "float32").row_bytes() == 16
    assert Layout(1, 5, 1, "int8").row_bytes() == 16


def test_the_papers_size() -> None:
    """500 sequences of 30 tokens through the 12 encoder layers of T5-Base: 553 MB."""
    layout = Layout(12, 768, 12, "float32")
    assert layout.record_bytes(range(12), Counts(30)) * 500 == 552_960_000


@pytest.mark.parametrize(
    ("layers", "stacks"),
    [
        (range(26), [Stack(range(13), 7), Stack(range(13, 26), 2)]),
        (range(3, 5), [Stack(range(3, 5), 7)]),
        (range(13, 14), [Stack(range(13, 14), 2)]),
        (range(12, 14), [Stack(range(12, 13), 7), Stack(range(13, 14), 2)]),
        (range(4, 4), []),
    ],
)
def test_stacks(layers: range, stacks: list[Stack]) -> None:
    assert T5.stacks(layers, Counts(7, 2)) == stacks
    assert T5.rows(layers, Counts(7, 2)) == sum(len(one.layers) * one.tokens for one in stacks)


@pytest.mark.parametrize("dtype", ITEM_BYTES)
@pytest.mark.parametrize(("rows", "width", "seq"), [(64, 64, 40), (3000, 8, 6), (40, 512, 128)])
def test_the_prediction_is_just_enough(
    dtype: str, rows: int, width: int, seq: int, tmp_path: Path
) -> None:
    layout = Layout(6, width, 6, dtype)
    tokens = [1 + (7 * number) % seq for number in range(rows)]
    with opened(tmp_path, layout) as cache:
        for first in range(0, rows, 16):
            some = tokens[first : first + 16]
            hidden = [torch.randn(len(some), seq, width)] * 6
            cache.put(range(first, first + len(some)), range(6), hidden, [mask_of(some, seq)] * 6)
        cache.finish()
    found = sum(path.stat().st_size for path in tmp_path.glob("*.h5"))
    predicted = layout.total_bytes(Counts(one) for one in tokens)
    assert found <= predicted <= 1.02 * found + 64 * 1024


def test_a_prediction_for_some_layers() -> None:
    one = T5.total_bytes([Counts(100, 10)] * 1000, range(5))
    assert one == pytest.approx(5 * 100 * 768 * 4 * 1000, rel=0.01)
