"""Models with a trained side network, as a rank has them and as they are saved."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.export import origin_of, save_adapter
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.shard import Shard
from tests.model.adapted import disturb, heads_of
from tests.model.rows import Batch, opened, run

SIDE = AdapterSettings(kind="parallel", reduction=4)


class Trained(NamedTuple):
    """All layers on one rank, and the folder that the adapter was saved in."""

    shard: Shard
    folder: Path
    purpose: Purpose

    def logits(self, given: Batch) -> Tensor:
        """What the rank itself makes of a batch."""
        layers = range(self.shard.blueprint.num_layers)
        return run([(self.shard, layers)], given, self.purpose).hidden


def trained(
    base: Path | str, folder: Path, purpose: Purpose, settings: AdapterSettings = SIDE
) -> Trained:
    """A model whose adapter has moved, all of its layers loaded as a rank does, and saved."""
    blueprint = opened(base, purpose)
    heads = heads_of(blueprint.family.name, purpose)
    inject(blueprint.model, settings, blueprint.family.name, heads)
    tuned = tuned_names(blueprint.model, settings, heads)
    shard = load(blueprint, range(blueprint.num_layers), tuned=tuned).eval()
    disturb(shard.tuned_parameters())
    origin = origin_of(blueprint.model, str(base), purpose, heads)
    save_adapter(folder, settings, shard.tuned_parameters(), origin)
    return Trained(shard, folder, purpose)
