"""How much a weight matters, from the gradients it gets on some examples (Fisher information).

The squares of its gradients, summed over training batches (arXiv 2111.09832, as Ladder Side-Tuning
uses it): unlike a weight's magnitude it knows the task, but it needs the whole backbone and its
backward pass once, on one rank, before anything is trained.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mpiedge.model.activation import Activation
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.family import Entry
from mpiedge.model.prune_order import ORDERS, scored
from mpiedge.model.shard import Shard

BATCHES = 1024
"""How many batches are looked at, at most."""

_KEPT = 2.6
"""What a backward pass keeps of a block, in tensors of its matrices' outputs: measured, at most."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits and labels to the loss of a batch, a scalar."""


class Batch(NamedTuple):
    """Some examples of the task."""

    x: Activation  # what enters layer 0
    entries: Mapping[int, Entry]
    labels: Tensor


def fisher(
    shard: Shard, batches: Iterable[Batch], loss: Loss, most: int = BATCHES
) -> dict[str, Tensor]:
    """The importance of each weight that pruning asks for, by name, of the weight's shape.

    The shard holds all layers of a model without adapters; nothing in it is changed.  Dropout is
    off, so that the result depends on the weights and the batches only.
    """
    if len(shard.held) != shard.blueprint.num_layers:
        raise ValueError(f"all {shard.blueprint.num_layers} layers are needed, not {shard.held}")
    weights = _weights(shard.blueprint)
    sums = {name: torch.zeros_like(each, dtype=torch.float32) for name, each in weights.items()}
    layers = range(shard.blueprint.num_layers)
    with _squared(shard, weights, sums), torch.enable_grad():
        for batch in islice(batches, most):
            logits = shard(batch.x, layers, batch.entries).hidden
            torch.autograd.backward([loss(logits, batch.labels)])
    return sums


def fisher_bytes(blueprint: Blueprint, tokens: tuple[int, int]) -> int:
    """About how much memory it takes, with batches of ``tokens`` (rows, sequence), in bytes.

    The weights, the sums, the largest gradient, and what a backward pass keeps of each layer.
    """
    weights = sum(map(_bytes, blueprint.model.parameters()))
    summed = [4 * each.numel() for each in _weights(blueprint).values()]
    return weights + sum(summed) + max(summed) + _kept(blueprint, tokens)


def _bytes(weight: Tensor) -> int:
    return weight.numel() * weight.element_size()


def _weights(blueprint: Blueprint) -> dict[str, nn.Parameter]:
    named = dict(blueprint.model.named_parameters())
    return {name: named[name] for name in scored(blueprint) if name in named}


def _kept(blueprint: Blueprint, tokens: tuple[int, int]) -> int:
    """Bytes that a batch leaves behind until its backward pass."""
    transposed = ORDERS[blueprint.family.name].transposed
    first, *matrices = _weights(blueprint).values()
    outputs = sum(each.shape[1 if transposed else 0] for each in matrices)
    words = 2 * first.shape[0] if blueprint.model.get_output_embeddings() is not None else 0
    return int(4 * prod(tokens) * (_KEPT * outputs + words))


@contextmanager
def _squared(
    shard: Shard, weights: Mapping[str, nn.Parameter], sums: Mapping[str, Tensor]
) -> Iterator[None]:
    """Meanwhile every gradient is squared, added up and let go as soon as it is there."""
    training = shard.training
    asked = {name: each.requires_grad for name, each in weights.items()}
    hooks = []
    for name, weight in weights.items():
        weight.requires_grad_(True)
        add = _adding_to(sums[name])
        hooks.append(weight.register_post_accumulate_grad_hook(add))  # type: ignore[no-untyped-call]
    shard.eval()
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, weight in weights.items():
            weight.requires_grad_(asked[name])
        shard.train(training)


def _adding_to(total: Tensor) -> Callable[[Tensor], None]:
    def add(weight: Tensor) -> None:
        assert weight.grad is not None
        total.addcmul_(weight.grad.float(), weight.grad.float())
        weight.grad = None

    return add
