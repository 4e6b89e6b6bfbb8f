"""Small caches to try things on: what the backbone made is known for each example."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from mpiedge.store.cache import ActivationCache
from mpiedge.store.layout import Counts, Layout

DECODER = Layout(layers=4, width=6, bridge=2, dtype="float32")  # two stacks of two layers
PLAIN = Layout(layers=3, width=8, bridge=3, dtype="float32")


def counts(example: int, layout: Layout) -> Counts:
    """The tokens of an example; one in seven has none in the target."""
    return Counts(1 + example % 5, (example * 3) % 7 if layout.bridge < layout.layers else 0)


def truth(example: int, layout: Layout) -> list[Tensor]:
    """What each layer makes of an example [tokens, width]."""
    source, target = counts(example, layout)
    made = torch.Generator().manual_seed(1000 + example)
    return [
        torch.randn(source if layer < layout.bridge else target, layout.width, generator=made)
        for layer in range(layout.layers)
    ]


def mask_of(tokens: Sequence[int], seq: int, left: bool = False) -> Tensor:
    """The mask [rows, seq] of rows with so many tokens."""
    rows = [[1] * count + [0] * (seq - count) for count in tokens]
    return torch.tensor([row[::-1] if left else row for row in rows]).reshape(len(rows), seq)


def outputs(
    examples: Sequence[int], layers: range, layout: Layout, left: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """What the backbone made of a micro-batch: its padded layers, garbage between, and masks."""
    hidden, masks = [], []
    for layer in layers:
        rows = [truth(example, layout)[layer] for example in examples]
        seq = max(map(len, rows)) + 1
        mask = mask_of([len(row) for row in rows], seq, left)
        made = torch.full((len(rows), seq, layout.width), 1e9)
        for number, row in enumerate(rows):
            made[number][mask[number].bool()] = row
        hidden.append(made)
        masks.append(mask)
    return hidden, masks


def put(cache: ActivationCache, examples: Sequence[int], layers: range | None = None) -> None:
    """Put examples into a cache, every layer of them if none are named."""
    wanted = range(cache.layout.layers) if layers is None else layers
    cache.put(examples, wanted, *outputs(examples, wanted, cache.layout))


@contextmanager
def opened(folder: Path, layout: Layout = DECODER, key: str = "key") -> Iterator[ActivationCache]:
    """A cache that is closed in the end."""
    cache = ActivationCache(folder, layout, key)
    try:
        yield cache
    finally:
        cache.close()


def same(found: Sequence[Tensor], example: int, layout: Layout) -> bool:
    """Whether every layer of an example is exactly what was made."""
    pairs = zip(found, truth(example, layout), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def fill(folder: Path, layout: Layout = DECODER) -> None:
    """Three segments with twelve examples; half of them in two runs of layers."""
    with opened(folder, layout) as cache:
        for first in (0, 4):
            put(cache, range(first, first + 4))
            cache.finish()
        put(cache, range(8, 12), range(1))
        put(cache, range(8, 12), range(1, layout.layers))
        cache.finish()
