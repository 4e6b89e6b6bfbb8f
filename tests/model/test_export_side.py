"""A side network in PEFT's two files, under a type of our own."""

import json
from dataclasses import fields

import torch
from safetensors.torch import load_file

from mpiedge.model.export import PARALLEL_SETTINGS
from mpiedge.model.purpose import Purpose
from mpiedge.model.restore import read_adapter
from mpiedge.model.settings import AdapterSettings
from tests.model.beside import trained
from tests.models import save_tiny

UNUSUAL = AdapterSettings(
    kind="parallel", reduction=2, heads=2, form="B", merge="add", initial="plain", dropout=0.25
)


def test_what_is_written(tmp_path):
    base = save_tiny("t5", tmp_path / "t5", blocks=1)
    made = trained(base, tmp_path, Purpose.SEQ2SEQ, UNUSUAL)
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    expected = {
        "peft_type": "MPIEDGE_PARALLEL",
        "task_type": "SEQ_2_SEQ_LM",
        "base_model_name_or_path": str(base),
        "modules_to_save": None,
        "reduction": 2,
        "heads": 2,
        "form": "B",
        "merge": "add",
        "initial": "plain",
        "dropout": 0.25,
    }
    assert {name: written[name] for name in expected} == expected
    assert written["auto_mapping"]["base_model_class"] == "T5ForConditionalGeneration"
    stored = load_file(tmp_path / "adapter_model.safetensors")
    tuned = made.shard.tuned_parameters()
    assert stored.keys() == {f"base_model.model.{name}" for name in tuned}
    assert "base_model.model.side.down.0.weight" in stored
    # Of the table of positions, which is the model's own, there is no second copy.
    assert not any("relative_attention_bias" in name for name in stored)


def test_what_is_read_back(tmp_path):
    base = save_tiny("bart", tmp_path / "bart", blocks=1)
    made = trained(base, tmp_path, Purpose.CLASSIFICATION, UNUSUAL)
    saved, tuned = read_adapter(tmp_path), made.shard.tuned_parameters()
    assert saved.settings == UNUSUAL
    assert saved.heads == ("classification_head",)
    assert saved.tensors.keys() == tuned.keys()
    assert all(torch.equal(saved.tensors[name], each) for name, each in tuned.items())


def test_the_number_of_heads_that_was_chosen_is_written(tmp_path):
    base = save_tiny("llama", tmp_path / "llama", blocks=1)
    trained(base, tmp_path, Purpose.LANGUAGE, AdapterSettings(kind="parallel", reduction=4))
    # Four heads of 2 numbers, made as few as there are heads of keys.
    assert json.loads((tmp_path / "adapter_config.json").read_text())["heads"] == 2
    assert read_adapter(tmp_path).settings.heads == 2


def test_every_setting_of_a_side_network_is_written():
    declared = {each.name: each.metadata["declared"].doc for each in fields(AdapterSettings)}
    about = {name for name, doc in declared.items() if "parallel: " in doc and name != "kind"}
    assert set(PARALLEL_SETTINGS) == about
