import json

import pytest
import torch
from peft import (
    AutoPeftModelForCausalLM,
    AutoPeftModelForSeq2SeqLM,
    AutoPeftModelForSequenceClassification,
    PeftModel,
)
from safetensors.torch import load_file
from transformers import BertForMaskedLM
from transformers.utils import logging

from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.export import canonical_name, origin_of, save_adapter, stored_name
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from tests.model.adapted import EVERY, LABELS, LOADERS, adapt, disturb, heads_of, logits, plain
from tests.models import FAMILIES, save_tiny, tiny_model

LORA = AdapterSettings(r=4)
FULL = AdapterSettings(kind="full")
SIDE = AdapterSettings(kind="parallel", reduction=2)
WIDE = {
    "bert": ["query", "dense"],
    "roberta": ["query", "dense"],
    "gpt2": ["c_attn", "mlp.c_proj", "c_fc"],
    "llama": ["q_proj", "down_proj"],
    "t5": ["q", "wo"],
    "bart": ["q_proj", "out_proj", "fc2"],
}
AUTO = {
    Purpose.LANGUAGE: AutoPeftModelForCausalLM,
    Purpose.SEQ2SEQ: AutoPeftModelForSeq2SeqLM,
}

# PEFT 0.21 asks transformers 5.23 by a name that it has since changed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: save_tiny(family, folder / family, blocks=1) for family in FAMILIES}


def trained(base, family, purpose, settings):
    """A model whose tuned parameters have moved, and those parameters."""
    model = plain(base, purpose)
    tuned = adapt(model, settings, family, purpose)
    disturb(tuned)
    return model, tuned


def export(folder, base, model, settings, tuned, purpose):
    heads = heads_of(model.config.model_type, purpose)
    save_adapter(folder, settings, tuned, origin_of(model, str(base), purpose, heads))
    return folder


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_plain_peft_gives_the_same_logits(family, purpose, bases, tmp_path):
    model, tuned = trained(bases[family], family, purpose, LORA)
    export(tmp_path, bases[family], model, LORA, tuned, purpose)
    other = plain(bases[family], purpose, seed=1)
    assert not torch.equal(logits(other, family, purpose), logits(model, family, purpose))
    loaded = PeftModel.from_pretrained(other, tmp_path).eval()
    difference = logits(loaded, family, purpose) - logits(model, family, purpose)
    assert difference.abs().max() == 0.0


@pytest.mark.parametrize("family", FAMILIES)
def test_names_that_heads_have_too_stay_out_of_the_heads(family, bases, tmp_path):
    settings = AdapterSettings(r=2, alpha=3, dropout=0.1, target_modules=WIDE[family])
    model, tuned = trained(bases[family], family, Purpose.CLASSIFICATION, settings)
    export(tmp_path, bases[family], model, settings, tuned, Purpose.CLASSIFICATION)
    other = plain(bases[family], Purpose.CLASSIFICATION, seed=1)
    loaded = PeftModel.from_pretrained(other, tmp_path).eval()
    expected = logits(model, family, Purpose.CLASSIFICATION)
    assert torch.equal(logits(loaded, family, Purpose.CLASSIFICATION), expected)


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_peft_finds_the_base_model_by_itself(family, purpose, bases, tmp_path):
    model, tuned = trained(bases[family], family, purpose, LORA)
    export(tmp_path, bases[family], model, LORA, tuned, purpose)
    loader = AUTO.get(purpose, AutoPeftModelForSequenceClassification)
    more = {"pad_token_id": 0} if family in {"gpt2", "llama"} else {}
    loaded = loader.from_pretrained(tmp_path, **LABELS.get(purpose, {}), **more).eval()
    assert torch.equal(logits(loaded, family, purpose), logits(model, family, purpose))


def test_a_pooler_that_the_checkpoint_lacks_is_trained_and_saved_too(tmp_path):
    purpose, heads = Purpose.CLASSIFICATION, ("classifier", "bert.pooler")
    settings = AdapterSettings(r=2, target_modules=["dense"])
    base = tmp_path / "bert"
    BertForMaskedLM(tiny_model("bert", 1).config).save_pretrained(base)
    model = plain(base, purpose)
    inject(model, settings, "bert", heads)
    names = tuned_names(model, settings, heads)
    tuned = {name: each for name, each in model.named_parameters() if name in names}
    save_adapter(tmp_path, settings, tuned, origin_of(model, str(base), purpose, heads))
    loaded = PeftModel.from_pretrained(plain(base, purpose, seed=1), tmp_path).eval()
    assert {"bert.pooler.dense.weight", "bert.pooler.dense.bias"} < names
    assert torch.equal(logits(loaded, "bert", purpose), logits(model, "bert", purpose))


def test_peft_trains_on_from_the_adapter(bases, tmp_path):
    model, tuned = trained(bases["gpt2"], "gpt2", Purpose.CLASSIFICATION, LORA)
    export(tmp_path, bases["gpt2"], model, LORA, tuned, Purpose.CLASSIFICATION)
    other = plain(bases["gpt2"], Purpose.CLASSIFICATION)
    loaded = PeftModel.from_pretrained(other, tmp_path, is_trainable=True)
    trainable = [each for each in loaded.parameters() if each.requires_grad]
    assert sum(each.numel() for each in trainable) == sum(each.numel() for each in tuned.values())


def test_what_peft_reads_about_the_adapter(bases, tmp_path):
    settings = AdapterSettings(r=4, alpha=8, dropout=0.25)
    model, tuned = trained(bases["gpt2"], "gpt2", Purpose.REGRESSION, settings)
    export(tmp_path, "someone/gpt2", model, settings, tuned, Purpose.REGRESSION)
    fields = json.loads((tmp_path / "adapter_config.json").read_text())
    expected = {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": "someone/gpt2",
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.25,
        "fan_in_fan_out": True,
        "target_modules": ["c_attn"],
        "modules_to_save": ["score"],
        "inference_mode": True,
    }
    assert {name: fields[name] for name in expected} == expected


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_a_fully_tuned_model_is_a_transformers_checkpoint(family, purpose, bases, tmp_path):
    model, tuned = trained(bases[family], family, purpose, FULL)
    folder = export(tmp_path / family, bases[family], model, FULL, tuned, purpose)
    loader = LOADERS.get(purpose, type(model))
    loaded, report = loader.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    weights = dict(loaded.named_parameters())
    assert all(torch.equal(weights[name], each) for name, each in tuned.items())
    # Weights that lie at other addresses can be summed in another order.
    expected = logits(model, family, purpose)
    assert torch.allclose(logits(loaded.eval(), family, purpose), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
def test_tied_weights_are_stored_once(family, bases, tmp_path):
    purpose = Purpose.SEQ2SEQ if family in {"t5", "bart"} else Purpose.LANGUAGE
    model, tuned = trained(bases[family], family, purpose, FULL)
    export(tmp_path, bases[family], model, FULL, tuned, purpose)
    stored = load_file(tmp_path / "model.safetensors")
    assert sum(each.numel() for each in stored.values()) == model.num_parameters()
    assert "lm_head.weight" not in stored


def test_loading_logs_nothing_but_the_new_head(bases, tmp_path, capfd):
    model, tuned = trained(bases["llama"], "llama", Purpose.LANGUAGE, LORA)
    export(tmp_path, bases["llama"], model, LORA, tuned, Purpose.LANGUAGE)
    other = plain(bases["llama"], Purpose.LANGUAGE)
    logging.set_verbosity_warning()
    capfd.readouterr()
    PeftModel.from_pretrained(other, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "settings", [LORA, AdapterSettings(kind="bottleneck", bottleneck=2), SIDE, FULL]
)
def test_saving_again_replaces_and_leaves_nothing_beside(settings, bases, tmp_path):
    purpose = Purpose.CLASSIFICATION
    model, tuned = trained(bases["bert"], "bert", purpose, settings)
    export(tmp_path, bases["bert"], model, settings, tuned, purpose)
    names = sorted(path.name for path in tmp_path.iterdir())
    first = {name: (tmp_path / name).read_bytes() for name in names}
    export(tmp_path, bases["bert"], model, settings, tuned, purpose)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert len(names) == 2
    disturb(tuned)
    export(tmp_path, bases["bert"], model, settings, tuned, purpose)
    changed = {name for name in names if (tmp_path / name).read_bytes() != first[name]}
    assert changed == {name for name in names if name.endswith(".safetensors")}


def test_a_crash_while_writing_leaves_the_old_file(bases, tmp_path, monkeypatch):
    purpose = Purpose.CLASSIFICATION
    model, tuned = trained(bases["bert"], "bert", purpose, LORA)
    export(tmp_path, bases["bert"], model, LORA, tuned, purpose)
    first = (tmp_path / "adapter_model.safetensors").read_bytes()

    def cut_short(_, path, **__):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("mpiedge.model.export.save_file", cut_short)
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path, bases["bert"], model, LORA, tuned, purpose)
    assert (tmp_path / "adapter_model.safetensors").read_bytes() == first


def test_a_folder_that_cannot_be_written(bases, tmp_path):
    model, tuned = trained(bases["bert"], "bert", Purpose.CLASSIFICATION, LORA)
    (tmp_path / "file").write_text("here")
    with pytest.raises(BadInput, match="cannot write to .*file/adapter: .*; choose another"):
        export(tmp_path / "file" / "adapter", "base", model, LORA, tuned, Purpose.CLASSIFICATION)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("h.0.c_attn.lora_A.default.weight", "base_model.model.h.0.c_attn.lora_A.weight"),
        ("x.query.lora_B.default.weight", "base_model.model.x.query.lora_B.weight"),
        ("x.dense.adapter_up.bias", "base_model.model.x.dense.adapter_up.bias"),
        ("side.gate.3", "base_model.model.side.gate.3"),
        ("classifier.weight", "base_model.model.classifier.weight"),
    ],
)
def test_names_in_files(name, stored):
    assert stored_name(name) == stored
    assert canonical_name(stored) == name
