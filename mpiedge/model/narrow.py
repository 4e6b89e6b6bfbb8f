"""A model of the same family with every width divided: what a side network is made of.

Heads and layers stay as many as they were, so the family's own functions run the small blocks.
Apart from the side network, because it is the one place that knows what can be divided.
"""

import copy
from math import gcd
from typing import Any

from torch import nn
from transformers import AutoModel

from mpiedge.errors import BadInput
from mpiedge.model.family import Family, Widths


def narrowed(config: Any, family: Family, reduction: int, dropout: float) -> nn.Module:
    """The blocks and last norms of a small backbone; without embeddings, on the current device."""
    widths = family.widths(config)
    check_reduction(widths, reduction)
    small = copy.deepcopy(config)
    small.update({name: width // reduction for name, width in widths.settings.items()})
    small.update(dict.fromkeys(family.dropouts, dropout))
    backbone: nn.Module = AutoModel.from_config(small)
    _keep_only(backbone, _kept(family), "")
    return backbone


def check_reduction(widths: Widths, reduction: int) -> None:
    """Refuse a reduction that leaves a width, or a head's, that is no whole number."""
    if _divides(widths, reduction):
        return
    named = ", ".join(f"{name} {width}" for name, width in widths.settings.items())
    even = "an even number" if widths.rotary else "a whole number"
    able = [str(each) for each in range(1, widths.head + 1) if _divides(widths, each)]
    raise BadInput(
        f"adapter.reduction: {reduction} does not divide this model, which has {named} and heads "
        f"of width {widths.head}, of which {even} must remain; set it to one of {', '.join(able)}"
    )


def _divides(widths: Widths, reduction: int) -> bool:
    common = gcd(*widths.settings.values(), widths.head)
    even = not widths.rotary or widths.head // reduction % 2 == 0
    return common % reduction == 0 and even


def _kept(family: Family) -> tuple[str, ...]:
    names = [name for stack in family.stacks for name in (stack.blocks, *stack.shared)]
    return (*names, *(stack.norm for stack in family.stacks if stack.norm is not None))


def _keep_only(module: nn.Module, kept: tuple[str, ...], path: str) -> None:
    """Take the modules with weights out that are neither kept nor hold anything that is."""
    for name, child in list(module.named_children()):
        inside = f"{path}{name}."
        if any(f"{each}.".startswith(inside) for each in kept):
            _keep_only(child, kept, inside)
        elif not inside.startswith(tuple(f"{each}." for each in kept)) and list(child.parameters()):
            delattr(module, name)
