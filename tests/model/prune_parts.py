"""Models with a side network in place, as the tests of its first values need them."""

from pathlib import Path

import torch

from mpiedge.model.adapter import inject
from mpiedge.model.anatomy import TWIN
from mpiedge.model.blueprint import Blueprint, open_model
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings, ModelSettings
from tests.model.adapted import heads_of


def beside(folder: Path, purpose: Purpose, reduction: int = 4, heads: int = 4) -> Blueprint:
    """A model with its side network in place, without weights; as many heads as the model."""
    blueprint = open_model(ModelSettings(name=str(folder)), purpose, 3)
    settings = AdapterSettings(kind="parallel", reduction=reduction, heads=heads)
    family = blueprint.family.name
    inject(blueprint.model, settings, family, heads_of(family, purpose))
    return blueprint


def purpose_of(family: str) -> Purpose:
    return {"t5": Purpose.SEQ2SEQ, "bart": Purpose.SEQ2SEQ}.get(family, Purpose.CLASSIFICATION)


def copies(blueprint: Blueprint) -> dict[str, torch.Size]:
    """The side network's copies of the backbone's weights, and the shape of each."""
    named = blueprint.model.named_parameters()
    return {name: each.shape for name, each in named if name.startswith(TWIN)}
