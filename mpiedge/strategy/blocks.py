"""Blocks of tuned layers, and what each device needs to tune one: DEFT's tables.

    layers     1 2 | 3 4 | 5 6   7         two layers a block, 7 is the head
    block        2     1     0             block 0 is nearest the loss

A device runs the whole model forward and goes back only to its block, so a deeper block takes
longer and keeps more.  The head, above all blocks, gets its gradient from every device that takes
part; the paper does not say (our reading).
"""

from collections.abc import Sequence
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import Stage
from mpiedge.strategy.portions import apportion

Block = tuple[int, ...]


class Table(NamedTuple):
    """One client's round for each block, on the reference device and with a batch of its own."""

    seconds: tuple[float, ...]  # to compute
    memory: tuple[int, ...]  # bytes
    payload: tuple[int, ...]  # bytes that are sent up


def blocks_of(trainable: Sequence[int], head: int, count: int) -> tuple[Block, ...]:
    """The tuned layers but the head in ``count`` runs as equal as can be, nearest the loss first.

    Raises BadInput where there are fewer layers than blocks, or nothing but a head.
    """
    layers = sorted((layer for layer in trainable if layer != head), reverse=True)
    if not 1 <= count <= len(layers):
        raise BadInput(
            f"strategy.blocks {count} is not possible: the model has {len(layers)} tuned layers "
            f"below its head; set it from 1 to {len(layers)}, or to 0"
        )
    sizes = apportion(len(layers), [1.0] * count)
    ends = [sum(sizes[: i + 1]) for i in range(count)]
    return tuple(tuple(layers[e - s : e]) for e, s in zip(ends, sizes, strict=True))


def table(cost: CostModel, blocks: Sequence[Block], micro_batches: int) -> Table:
    """What a round costs with each block.  Seconds never fall with depth, nor do bytes kept."""
    layers, head = range(len(cost.layers)), len(cost.layers) - 1
    forward = sum(layer.forward for layer in cost.layers)
    back = [sum(cost.layers[i].backward for i in range(min(b), len(layers))) for b in blocks]
    tuned = [sum(cost.layers[i].tuned for i in (*b, head)) for b in blocks]
    kept = [_memory(cost, block) for block in blocks]
    return Table(
        tuple(micro_batches * (forward + each) for each in back), tuple(kept), tuple(tuned)
    )


def whole(cost: CostModel, micro_batches: int, steps: int) -> Table:
    """The same for a device that tunes all layers by itself for some steps: one block."""
    every = tuple(i for i, layer in enumerate(cost.layers) if layer.tuned)
    one = table(cost, [every], micro_batches)
    return Table((steps * one.seconds[0],), one.memory, (sum(cost.layers[i].tuned for i in every),))


def _memory(cost: CostModel, block: Block) -> int:
    stage = Stage(0, range(len(cost.layers)), frozenset((*block, len(cost.layers) - 1)))
    return cost.memory(stage, True, 1)
