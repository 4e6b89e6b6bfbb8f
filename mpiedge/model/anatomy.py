"""A model's parts as a row of numbered layers.

Everything here is about names: which modules make up a layer, and which names stand for one
tensor.  A tied weight (an embedding that is the output layer too) belongs to several layers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from torch import nn

from mpiedge.model.family import Family, Head, Stack

WRAPPED = ".base_layer"
"""What adapters put into the name of a weight they wrap; no checkpoint has it."""


SIDE = "side."
"""What the names of a side network's parameters begin with."""

TWIN = "side.backbone."
"""What stands before the name that a part of a side network has in the backbone."""


class Layer(NamedTuple):
    """One layer: its modules, and what it does with them."""

    modules: tuple[str, ...]  # or single tensors, by name
    stack: Stack | None  # None: the head
    block: str | None = None  # None: the layer before a stack's blocks, or the head


@dataclass(frozen=True)
class Anatomy:
    """The layers of a model, and the names by which its tied weights are also known."""

    layers: tuple[Layer, ...]
    owners: dict[str, tuple[int, ...]]  # module -> the layers it is part of
    ties: dict[str, tuple[str, ...]]
    prefix: str = ""  # what stands before the backbone's names

    def layers_of(self, name: str) -> tuple[int, ...]:
        """The layers in which a parameter occurs."""
        plain = self.original(name)
        if plain.startswith(SIDE):
            place = plain.split(".")[2]
            # Down-projections and gates are numbered by layer; all else comes after the blocks.
            return (int(place) if place.isdecimal() else len(self.layers) - 1,)
        names = self.names(plain)
        found = (self.owners.get(part, ()) for each in names for part in _parts(each))
        return tuple(sorted({layer for layers in found for layer in layers}))

    def original(self, name: str) -> str:
        """What the checkpoint calls a parameter, or that which it is a smaller one of."""
        plain = name.replace(WRAPPED, "")
        return self.prefix + plain.removeprefix(TWIN) if plain.startswith(TWIN) else plain

    def names(self, plain: str) -> tuple[str, ...]:
        """All names of a parameter, the one given first."""
        return (plain, *self.ties.get(plain, ()))

    @property
    def entrances(self) -> tuple[int, ...]:
        """The layers that take tokens from outside: 0, and the bridge to a decoder."""
        row = enumerate(self.layers)
        return tuple(i for i, layer in row if layer.stack is not None and layer.block is None)


def dissect(family: Family, head: Head, model: Any) -> Anatomy:
    """The anatomy of a model, before any adapters are in it."""
    backbone = model.base_model
    prefix = "" if backbone is model else f"{model.base_model_prefix}."

    def inside(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(prefix + name for name in names)

    layers = [
        Layer((prefix + block, *inside(stack.shared)), stack, prefix + block)
        if block is not None
        else Layer(inside(stack.entrance), stack)
        for stack, block in row(family, backbone)
    ]
    layers.append(Layer((*inside(family.finish), *head.modules), None))
    return Anatomy(tuple(layers), _owners(layers), _ties(model), prefix)


def row(family: Family, backbone: Any) -> tuple[tuple[Stack, str | None], ...]:
    """Stack and block of each layer but the head; the layer before a stack's blocks has none."""
    return tuple(
        (stack, None if index < 0 else f"{stack.blocks}.{index}")
        for stack in family.stacks
        for index in range(-1, len(backbone.get_submodule(stack.blocks)))
    )


def aliases(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Every parameter's names by its first one, which is the canonical one."""
    first: dict[int, str] = {}
    names: dict[str, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        canonical = first.setdefault(id(parameter), name)
        names[canonical] = (*names.get(canonical, ()), name)
    return names


def _owners(layers: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    owners: dict[str, tuple[int, ...]] = {}
    for index, layer in enumerate(layers):
        for module in layer.modules:
            owners[module] = (*owners.get(module, ()), index)
    return owners


def _ties(model: nn.Module) -> dict[str, tuple[str, ...]]:
    return {first: names[1:] for first, names in aliases(model).items() if len(names) > 1}


def _parts(name: str) -> Iterator[str]:
    """The modules that a name lies in, and the name: a, a.b, a.b.c."""
    return accumulate(name.split("."), "{}.{}".format)
