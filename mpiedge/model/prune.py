"""First values of a side network, cut out of the backbone's weights (structural pruning).

Ladder Side-Tuning (arXiv 2206.06522) keeps of every matrix the rows that matter most, walking the
layers forward: what a matrix keeps of its outputs is what the next one keeps of its inputs.  The
additions around a block's parts are not held to one set, as there.  Our design: a head is made of
the rows of one, or of some neighbours, so rows are chosen within those, and in pairs where rotary
positions turn two of them together.

One weight is read at a time and cut at once, so no rank ever holds the backbone for it.  The sets
depend on the stored weights and on nothing else, so all ranks find the same ones.
"""

from collections.abc import Collection, Sequence
from functools import reduce

import torch
from torch import Tensor

from mpiedge.model.blueprint import Blueprint
from mpiedge.model.prune_cut import Cut, Importance
from mpiedge.model.prune_order import Attention, Block, Feed, blocks_of, embedding_of

_NORM = (".weight", ".bias")
_SLICE = 2048  # rows


def magnitude(_: str, weight: Tensor) -> Tensor:
    """The importance that needs no data: how large an entry is."""
    return weight.abs()


def pruned(
    blueprint: Blueprint,
    importance: Importance = magnitude,
    wanted: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """First values, by name and in float32, of a side network's copies of the backbone's weights.

    The blueprint's model has its side network in place.  With ``wanted``, of the side network only
    these names.  Raises BadInput where the checkpoint lacks a weight.
    """
    cut = Cut(blueprint, importance)
    due = cut.shapes.keys() if wanted is None else cut.shapes.keys() & set(wanted)
    entered = encoded = start = _embedded(cut, blueprint)
    stack = 0
    for block in blocks_of(blueprint):
        if due <= cut.values.keys():
            break
        if block.stack != stack:
            encoded, entered, stack = entered, start, block.stack
        entered = _block(cut, block, entered, encoded)
    return {name: cut.values[name] for name in sorted(due & cut.values.keys())}


def _embedded(cut: Cut, blueprint: Blueprint) -> Tensor:
    """The columns of the embedding that matter most: what enters the first block."""
    first = next(blocks_of(blueprint))
    last = next(step for step in reversed(first.steps) if isinstance(step, Feed))
    table = cut.table(embedding_of(blueprint))
    return _top(_sizes(table.importance, 0), cut.outputs(f"{first.path}.{last.outside}"))


def _block(cut: Cut, block: Block, entered: Tensor, encoded: Tensor) -> Tensor:
    """Cut one block out; which entries of the hidden states leave it."""
    for step in block.steps:
        if isinstance(step, Attention):
            entered = _attention(cut, block, step, (entered, encoded))
        elif isinstance(step, Feed):
            entered = _feed(cut, block, step, entered)
        else:
            _norm(cut, f"{block.path}.{step.name}", entered)
    for name in block.copied:
        cut.keep_table(name)
    if block.norm is not None:
        _norm(cut, block.norm, entered)
    return entered


def _norm(cut: Cut, name: str, entered: Tensor) -> None:
    for ending in _NORM:
        cut.keep_entries(name + ending, entered)


def _feed(cut: Cut, block: Block, step: Feed, entered: Tensor) -> Tensor:
    names = [f"{block.path}.{name}" for name in step.inside]
    names = [name for name in names if cut.has(f"{name}.weight")]
    into = [cut.matrix(name).columns(entered) for name in names]
    together = reduce(torch.mul, [each.importance.double() for each in into])
    rows = _top(_sizes(together, 1), cut.outputs(names[0]))
    for name, matrix in zip(names, into, strict=True):
        cut.keep(name, matrix, rows)
    return _project(cut, f"{block.path}.{step.outside}", rows)


def _project(cut: Cut, name: str, entered: Tensor) -> Tensor:
    matrix = cut.matrix(name).columns(entered)
    rows = _top(_sizes(matrix.importance, 1), cut.outputs(name))
    cut.keep(name, matrix, rows)
    return rows


def _attention(cut: Cut, block: Block, step: Attention, sources: tuple[Tensor, Tensor]) -> Tensor:
    names = [f"{block.path}.{name}" for name in step.inside]
    own, other = sources
    columns = (own, other, other) if step.crossed else (own, own, own)
    read = [cut.matrix(name).columns(each) for name, each in zip(names, columns, strict=False)]
    fused = 3 // len(read)
    parts = [part for each in read for part in each.importance.chunk(fused)]
    kept = cut.outputs(names[0]) // fused * cut.merged // block.heads
    scores = _head_scores(parts, block.heads, step.crossed)
    scores = scores.reshape(-1, cut.merged, scores.shape[1])
    rows = _rows(_top_of_heads(scores, kept, cut.rotary), block.heads, scores)
    if fused > 1:
        joined = torch.cat([each + i * len(parts[0]) for i, each in enumerate(rows)])
        cut.keep(names[0], read[0], joined)
    else:
        for name, matrix, each in zip(names, read, rows, strict=True):
            cut.keep(name, matrix, each)
    return _project(cut, f"{block.path}.{step.outside}", rows[0])


def _head_scores(parts: Sequence[Tensor], heads: int, crossed: bool) -> Tensor:
    """How much each row of each head of the keys matters, [heads, rows of one].

    Queries, keys and values are multiplied entry by entry, and row by row where they read other
    things.  Heads of queries that share a head of keys count together.
    """
    size = len(parts[0]) // heads
    query, key, value = (part.double().reshape(-1, size, part.shape[1]) for part in parts)
    query = query.reshape(len(key), -1, *query.shape[1:]).sum(dim=1)
    if crossed:
        query, key, value = (each.sum(dim=2, keepdim=True) for each in (query, key, value))
    return (query * key * value).sum(dim=2)


def _top_of_heads(scores: Tensor, count: int, rotary: bool) -> Tensor:
    """The rows that matter most for each head of the side network's keys, [heads, count].

    ``scores`` are [heads, neighbours that become one, rows of one].
    """
    if not rotary:
        return torch.stack([_top(each.flatten(), count) for each in scores])
    half = scores.shape[2] // 2
    pairs = scores[:, :, :half] + scores[:, :, half:]
    first = torch.stack([_top(each.flatten(), count // 2) for each in pairs])
    first = first + first // half * half  # as rows of whole heads
    return torch.cat([first, first + half], dim=1)


def _rows(kept: Tensor, heads: int, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows among neighbours as rows of the queries, the keys and the values.

    A row of a query's head goes on meeting the same row of a key's: where several of the model's
    ``heads`` of queries share one of keys, the first ones of all neighbours become one, and so on.
    """
    few, merged, size = scores.shape
    keys = kept + merged * size * torch.arange(few).unsqueeze(1)
    sharing = heads // (few * merged)
    places = torch.arange(sharing).view(1, sharing, 1)
    queries = (keys // size * sharing).unsqueeze(1) + places
    return (queries * size + (keys % size).unsqueeze(1)).flatten(), keys.flatten(), keys.flatten()


def _sizes(importance: Tensor, dim: int) -> Tensor:
    # In double precision, so that ranks whose processors add in another order still agree, and in
    # slices, because an embedding in double precision would be the largest tensor of all.
    slices = torch.split(importance, _SLICE)
    sums = [each.abs().sum(dim=dim, dtype=torch.float64) for each in slices]
    return reduce(torch.add, sums) if dim == 0 else torch.cat(sums)


def _top(scores: Tensor, count: int) -> Tensor:
    """The places of the largest scores, in their own order; of equal ones the first."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values
