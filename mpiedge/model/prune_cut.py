"""Where pruning reads weights from, and where it puts what it keeps.

Apart from the walk through the layers, which chooses rows: here are only names, the two ways round
in which layers hold their weights, and the checkpoint.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.model.anatomy import TWIN
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.load import open_checkpoint
from mpiedge.model.narrow import shared_out
from mpiedge.model.prune_order import ORDERS
from mpiedge.model.side import side_of

Importance = Callable[[str, Tensor], Tensor]
"""How much each entry of a weight matters: its name in the model and its values to such a shape."""


class Matrix(NamedTuple):
    """A weight as [outputs, inputs], and how much each entry matters."""

    weight: Tensor
    importance: Tensor

    def columns(self, index: Tensor) -> "Matrix":
        """The weight with some of its inputs only."""
        return Matrix(self.weight[:, index], self.importance[:, index])


class Cut:
    """What has been cut out of a checkpoint so far, in float32."""

    def __init__(self, blueprint: Blueprint, importance: Importance) -> None:
        self._blueprint, self._importance = blueprint, importance
        self._prefix, self._checkpoint = blueprint.anatomy.prefix, open_checkpoint(blueprint)
        self._transposed = ORDERS[blueprint.family.name].transposed
        side, widths = side_of(blueprint.model), blueprint.family.widths(blueprint.config)
        assert side is not None
        self.rotary = widths.rotary
        small = blueprint.family.widths(side.backbone.config)
        self.merged = sum(widths.heads.values()) // sum(small.heads.values())
        """How many heads of the model are one of the side network's."""
        named = blueprint.model.named_parameters()
        self.shapes = {name: tuple(each.shape) for name, each in named if name.startswith(TWIN)}
        self.values: dict[str, Tensor] = {}  # by name in the side network, as ``shapes``

    def has(self, name: str) -> bool:
        """Whether the side network has a copy of a backbone's weight."""
        return self._side(name) in self.shapes

    def outputs(self, name: str) -> int:
        """How many rows are kept of a layer."""
        rows, columns = self.shapes[self._side(f"{name}.weight")]
        return int(columns if self._transposed else rows)

    def table(self, name: str) -> Matrix:
        """An embedding as [tokens, width]."""
        weight = self._read(f"{name}.weight")
        return Matrix(weight, self._importance(f"{name}.weight", weight))

    def matrix(self, name: str) -> Matrix:
        """A layer's weight."""
        weight, importance = self.table(name)
        return Matrix(weight.T, importance.T) if self._transposed else Matrix(weight, importance)

    def keep(self, name: str, matrix: Matrix, rows: Tensor) -> None:
        """Keep some rows of a layer whose columns are chosen, and of its bias."""
        weight = matrix.weight[rows]
        self.values[self._side(f"{name}.weight")] = (
            weight.T if self._transposed else weight
        ).contiguous()
        self.keep_entries(f"{name}.bias", rows)

    def keep_entries(self, name: str, index: Tensor) -> None:
        """Keep some entries of a bias or a norm, where the model has it."""
        if self.has(name):
            self.values[self._side(name)] = self._read(name)[index].clone()

    def keep_table(self, name: str) -> None:
        """Keep a table with a number for each head, where the model has it."""
        if self.has(name):
            side = self._side(name)
            self.values[side] = shared_out(self._read(name), self.shapes[side][1]).clone()

    def _read(self, name: str) -> Tensor:
        key = self._checkpoint.locate(self._blueprint.anatomy.names(name))
        if key is None:
            raise BadInput(
                f"model.name: {self._blueprint.source.name}: the checkpoint has no {name}; "
                "copy the model anew, or choose one that was saved whole"
            )
        ((_, tensor),) = self._checkpoint.read([key])
        return tensor.to(torch.float32)

    def _side(self, name: str) -> str:
        return TWIN + name.removeprefix(self._prefix)
