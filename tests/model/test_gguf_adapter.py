"""Side networks beside a backbone that lies in one .gguf file."""

import pytest
import torch

import mpiedge
from mpiedge.model.adapter import inject
from mpiedge.model.anatomy import TWIN
from mpiedge.model.load import load
from mpiedge.model.prune import pruned
from mpiedge.model.purpose import Purpose
from tests.model.beside import SIDE, trained
from tests.model.rows import answer, batch, opened

pytest.importorskip("gguf")

from tests.model.test_gguf import file  # noqa: E402, F401 - a fixture, and gguf was looked for


def test_it_is_pruned_as_it_is_loaded(file):  # noqa: F811
    blueprint = opened(file, Purpose.LANGUAGE)
    inject(blueprint.model, SIDE, "llama", ())
    values = pruned(blueprint)
    weights = dict(load(blueprint, range(blueprint.num_layers)).model.named_parameters())
    assert values.keys() == {name for name in weights if name.startswith(TWIN)}
    # Rows of queries are stored in another order, and have to be turned back before.
    for letter in ("q", "k"):
        name = f"layers.1.self_attn.{letter}_proj.weight"
        whole = {tuple(sorted(row.tolist())) for row in weights[f"model.{name}"].detach()}
        assert len(whole) > 10
        for row in values[TWIN + name].tolist():
            assert any(set(row) <= set(each) for each in whole)


def test_the_model_in_one_file_with_its_adapter(file, tmp_path):  # noqa: F811
    made, given = trained(file, tmp_path, Purpose.LANGUAGE), batch("llama")
    logits = answer(mpiedge.load(file, tmp_path), given, Purpose.LANGUAGE)
    assert torch.equal(logits[given.mask == 1], made.logits(given)[given.mask == 1])
