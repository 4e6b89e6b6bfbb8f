import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model

from mpiedge.errors import BadInput
from mpiedge.model.adapter import initialise, inject
from mpiedge.model.lora import lora_config
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.site import sites_of
from tests.model.adapted import adapt, disturb, logits
from tests.models import FAMILIES, tiny_model

PER_BLOCK = {"bert": 2, "roberta": 2, "gpt2": 1, "llama": 2}
# One encoder block and two decoder blocks, which attend twice.
IN_ALL = {"t5": 2 + 2 * 4, "bart": 2 + 2 * 4}


def adapted_layers(model):
    return {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A." in name}


@pytest.mark.parametrize("family", FAMILIES)
def test_usual_layers_of_each_family(family):
    model = tiny_model(family, 1)
    inject(model, AdapterSettings(), family, ())
    layers = adapted_layers(model)
    assert len(layers) == {**PER_BLOCK, **IN_ALL}[family]
    assert {layer.rpartition(".")[2] for layer in layers} == set(sites_of(family).lora)


# PEFT 0.21 asks transformers 5.23 by a name that it has since changed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
@pytest.mark.parametrize("family", FAMILIES)
def test_same_modules_as_plain_peft(family):
    ours, theirs = tiny_model(family, 1), tiny_model(family, 1)
    inject(ours, AdapterSettings(r=3, alpha=5), family, ())
    sites = sites_of(family)
    config = LoraConfig(
        r=3, lora_alpha=5, target_modules=list(sites.lora), fan_in_fan_out=sites.transposed
    )
    peft = get_peft_model(theirs, config).get_base_model()
    shapes = {name: each.shape for name, each in ours.named_parameters()}
    assert shapes == {name: each.shape for name, each in peft.named_parameters()}
    assert str(ours) == str(peft)


def test_the_update_is_scaled_by_alpha_over_r():
    model = tiny_model("bert", 1)
    tuned = adapt(model, AdapterSettings(r=4, alpha=12), "bert", Purpose.LANGUAGE)
    disturb(tuned)
    layer = model.get_submodule("bert.encoder.layer.0.attention.self.query")
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    low, high = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    expected = layer.base_layer(x) + 3 * (x @ low.T @ high.T)
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_dropout_acts_in_training_only():
    model = tiny_model("llama", 1)
    disturb(adapt(model, AdapterSettings(dropout=0.5), "llama", Purpose.LANGUAGE))
    quiet = logits(model, "llama", Purpose.LANGUAGE)
    assert torch.equal(logits(model, "llama", Purpose.LANGUAGE), quiet)
    torch.manual_seed(4)
    first = logits(model.train(), "llama", Purpose.LANGUAGE)
    torch.manual_seed(4)
    assert torch.equal(logits(model, "llama", Purpose.LANGUAGE), first)
    assert not torch.equal(first, quiet)


@pytest.mark.parametrize("inputs", [8, 32, 500])
def test_first_values_are_distributed_as_pefts(inputs):
    torch.manual_seed(0)
    config = LoraConfig(r=64, target_modules=["0"])
    theirs = get_peft_model(torch.nn.Sequential(torch.nn.Linear(inputs, 4)), config)
    named = {name: each for name, each in theirs.named_parameters() if "lora_" in name}
    for name, parameter in named.items():
        ours = initialise(name, parameter.shape, 0)
        assert ours.abs().max() <= (inputs**-0.5 if "lora_A" in name else 0)
        assert ours.std() == pytest.approx(parameter.std().item(), rel=0.1)
        assert ours.mean() == pytest.approx(0, abs=0.1 * inputs**-0.5)
    assert len(named) == 2


def test_chosen_layers():
    model = tiny_model("bert", 2)
    settings = AdapterSettings(target_modules=["key", "layer.1.output.dense"])
    inject(model, settings, "bert", ())
    assert adapted_layers(model) == {
        "bert.encoder.layer.0.attention.self.key",
        "bert.encoder.layer.1.attention.self.key",
        "bert.encoder.layer.1.output.dense",
    }


@pytest.mark.parametrize("name", ["qery", "uery", "LayerNorm", "decoder"])
def test_a_layer_that_is_not_there(name):
    settings = AdapterSettings(target_modules=["query", name])
    with pytest.raises(BadInput, match=rf"called {name}; there are dense, key, query, "):
        inject(tiny_model("bert", 1), settings, "bert", ())


def test_an_output_layer_tied_to_the_embedding_is_left_alone():
    settings = AdapterSettings(target_modules=["lm_head"])
    with pytest.raises(BadInput, match="no linear layer of this model is called lm_head"):
        inject(tiny_model("gpt2", 1), settings, "gpt2", ())


def test_configuration_as_peft_writes_it():
    config = lora_config(AdapterSettings(r=2, alpha=6), "gpt2", task_type=TaskType.CAUSAL_LM)
    assert (config.r, config.lora_alpha, config.fan_in_fan_out) == (2, 6, True)
    assert config.target_modules == {"c_attn"}
