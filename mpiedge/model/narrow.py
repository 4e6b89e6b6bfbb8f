"""A model of the same family with every width divided: what a side network is made of.

Layers stay as many as they were, so the family's own functions run the small blocks.  Of the heads
some neighbours may become one, which changes no weight's shape: it is as wide as they were
together, divided.  Apart from the side network, because it is the one place that knows what can be
divided.
"""

import copy
from math import gcd
from typing import Any

from torch import Tensor, nn
from transformers import AutoModel

from mpiedge.errors import BadInput
from mpiedge.model.family import Family, Widths
from mpiedge.model.settings import AdapterSettings

ROOMY = 16
"""How many numbers wide a head is at least where nothing says how many heads there are.

Attention takes a processor's vectors, which are that long, and heads of less cost more and see
less (``docs/pac.md``).
"""


def narrowed(config: Any, family: Family, settings: AdapterSettings) -> nn.Module:
    """The blocks and last norms of a small backbone; without embeddings, on the current device."""
    widths, reduction = family.widths(config), settings.reduction
    merged = merged_heads(widths, reduction, settings.heads)
    small = copy.deepcopy(config)
    small.update({name: width // reduction for name, width in widths.settings.items()})
    small.update({name: count // merged for name, count in widths.heads.items()})
    if widths.head_name is not None:
        small.update({widths.head_name: merged * widths.head // reduction})
    small.update(dict.fromkeys(family.dropouts, settings.dropout))
    backbone: nn.Module = AutoModel.from_config(small)
    _keep_only(backbone, _kept(family), "")
    return backbone


def side_heads(widths: Widths, reduction: int, heads: int) -> int:
    """How many heads a side network has, where ``heads`` may leave it open with 0.

    Of an encoder and decoder with unequal numbers, the encoder's.  Raises BadInput.
    """
    return _most(widths) // merged_heads(widths, reduction, heads)


def merged_heads(widths: Widths, reduction: int, heads: int) -> int:
    """How many heads of the model become one of the side network's.

    Raises BadInput where a width that is no whole number would remain, or no whole number of heads.
    """
    able = _able(widths, reduction)
    if not able:
        raise BadInput(_undivided(widths, reduction))
    if heads == 0:
        roomy = (each for each in able if each * widths.head // reduction >= ROOMY)
        return next(roomy, able[-1])
    found = {_most(widths) // each: each for each in able}
    if heads not in found:
        raise BadInput(
            f"adapter.heads: a side network of {heads} heads cannot be made of {_heads(widths)}, "
            f"with adapter.reduction {reduction}; set it to one of "
            f"{', '.join(map(str, found))}, or to 0"
        )
    return found[heads]


def shared_out(table: Tensor, heads: int) -> Tensor:
    """A table [entries, heads] for fewer heads: of neighbours that become one the mean.

    Our design.  Left as it is where that many heads cannot be made of its.
    """
    if table.shape[1] % heads:
        return table
    return table.reshape(len(table), heads, -1).mean(2)


def _able(widths: Widths, reduction: int) -> tuple[int, ...]:
    """Of how many neighbours a head can be made."""
    if gcd(*widths.settings.values()) % reduction:
        return ()
    step = 2 * reduction if widths.rotary else reduction
    common = gcd(*widths.heads.values())
    each = range(1, common + 1)
    return tuple(m for m in each if common % m == 0 and m * widths.head % step == 0)


def _most(widths: Widths) -> int:
    return next(iter(widths.heads.values()))


def _undivided(widths: Widths, reduction: int) -> str:
    named = ", ".join(f"{name} {width}" for name, width in widths.settings.items())
    common = gcd(*widths.settings.values())
    able = [str(each) for each in range(1, common + 1) if _able(widths, each)]
    return (
        f"adapter.reduction: {reduction} does not divide this model, which has {named} and "
        f"{_heads(widths)}; set it to one of {', '.join(able)}"
    )


def _heads(widths: Widths) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in widths.heads.items())
    even = ", of which an even number must remain" if widths.rotary else ""
    return f"{counts} of width {widths.head}{even}"


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
