"""Layers of models with a side network, as ranks hold them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.shard import Shard
from mpiedge.model.side import SideNetwork, side_of
from tests.model.rows import opened


def settings(**changes: Any) -> AdapterSettings:
    """Parallel adapters that fit the tiny models, whose 4 heads are 8 wide: two become one."""
    plain = {"reduction": 4, "heads": 2, "merge": "none", "form": "A", "likeness": False}
    return AdapterSettings(**{"kind": "parallel", **plain, **changes})


def planned(folder: Path | str, purpose: Purpose, **changes: Any) -> Blueprint:
    """A model with a side network, nothing of it read."""
    blueprint = opened(folder, purpose)
    inject(blueprint.model, settings(**changes), blueprint.family.name, blueprint.head_names)
    return blueprint


def side(model: nn.Module) -> SideNetwork:
    """The model's side network."""
    found = side_of(model)
    assert found is not None
    return found


def tuned(blueprint: Blueprint) -> frozenset[str]:
    """What is trained in it."""
    return tuned_names(blueprint.model, settings(), blueprint.head_names)


def beside(
    folder: Path | str, purpose: Purpose, layers: Iterable[int] | None = None, **changes: Any
) -> Shard:
    """Some layers, all of them if not said which, of a model with a moved side network."""
    blueprint = planned(folder, purpose, **changes)
    held = range(blueprint.num_layers) if layers is None else layers
    shard = load(blueprint, held, tuned=tuned(blueprint), seed=3)
    move(shard)
    return shard.eval()


def move(shard: Shard) -> None:
    """Move what is trained away from its first values, alike in every part of a model."""
    with torch.no_grad():
        for name, parameter in shard.tuned_parameters().items():
            draw = torch.Generator().manual_seed(sum(name.encode()))
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
