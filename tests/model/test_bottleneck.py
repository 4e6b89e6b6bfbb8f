import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from mpiedge.errors import BadInput
from mpiedge.model.adapter import initialise, inject
from mpiedge.model.bottleneck import ACTIVATIONS, Bottleneck
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from tests.model.adapted import adapt, disturb, inputs
from tests.models import FAMILIES, tiny_model

SMALL = AdapterSettings(kind="bottleneck", bottleneck=4)
HOULSBY = AdapterSettings(kind="bottleneck", bottleneck=4, placement="houlsby")
WRAPPED = {
    "bert": ({"output.dense"}, {"attention.output.dense"}),
    "roberta": ({"output.dense"}, {"attention.output.dense"}),
    "gpt2": ({"mlp.c_proj"}, {"attn.c_proj"}),
    "llama": ({"mlp.down_proj"}, {"self_attn.o_proj"}),
    "t5": ({"DenseReluDense.wo"}, {"SelfAttention.o", "EncDecAttention.o"}),
    "bart": ({"fc2"}, {"self_attn.out_proj", "encoder_attn.out_proj"}),
}
# Feed-forward parts and attention parts of the tiny model with one block (T5, BART: 1 and 2).
PARTS = {"t5": (3, 5), "bart": (3, 5)}


def wrapped(model):
    return [name for name, each in model.named_modules() if isinstance(each, Bottleneck)]


@pytest.mark.parametrize("family", FAMILIES)
def test_pfeiffer_is_behind_each_feed_forward_part(family):
    model = tiny_model(family, 1)
    inject(model, SMALL, family, ())
    names = wrapped(model)
    assert len(names) == PARTS.get(family, (1, 1))[0]
    feed_forward, attention = WRAPPED[family]
    assert all(name.endswith(tuple(feed_forward)) for name in names)
    assert not any(name.endswith(tuple(attention)) for name in names)


@pytest.mark.parametrize("family", FAMILIES)
def test_houlsby_is_behind_each_attention_part_too(family):
    model = tiny_model(family, 1)
    inject(model, HOULSBY, family, ())
    names = wrapped(model)
    assert len(names) == sum(PARTS.get(family, (1, 1)))
    for ending in set().union(*WRAPPED[family]):
        assert any(name.endswith(ending) for name in names), ending


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_output_is_the_layers_and_a_correction(name):
    torch.manual_seed(0)
    layer = Bottleneck(nn.Linear(6, 8), AdapterSettings(bottleneck=2, activation=name)).eval()
    nn.init.normal_(layer.adapter_up.weight)
    x = torch.randn(3, 6)
    y = layer.base_layer(x)
    narrow = getattr(nn.functional, name)(y @ layer.adapter_down.weight.T)
    assert torch.allclose(layer(x), y + narrow @ layer.adapter_up.weight.T, atol=1e-6)


def test_a_fresh_adapter_changes_nothing():
    layer = nn.Linear(6, 8)
    x = torch.randn(3, 6)
    assert torch.equal(Bottleneck(layer, SMALL)(x), layer(x))


@pytest.mark.parametrize("layer", [nn.Linear(6, 8, bias=False), nn.Linear(6, 8), Conv1D(8, 6)])
def test_width_follows_the_layers_outputs(layer):
    adapter = Bottleneck(layer, SMALL)
    assert adapter.adapter_down.weight.shape == (4, 8)
    assert adapter.adapter_up.weight.shape == (8, 4)
    assert adapter.weight is layer.weight
    assert adapter.bias is layer.bias


def test_dropout_acts_in_training_only():
    model = tiny_model("bert", 1)
    settings = AdapterSettings(kind="bottleneck", bottleneck=4, dropout=0.5)
    disturb(adapt(model, settings, "bert", Purpose.LANGUAGE))
    adapter = model.get_submodule("bert.encoder.layer.0.output.dense")
    x = torch.randn(3, 48, generator=torch.Generator().manual_seed(0))
    quiet = adapter(x)
    assert torch.equal(adapter(x), quiet)
    torch.manual_seed(4)
    first = adapter.train()(x)
    torch.manual_seed(4)
    assert torch.equal(adapter(x), first)
    assert not torch.equal(first, quiet)


def test_a_moved_adapter_changes_every_family():
    for family in FAMILIES:
        model = tiny_model(family, 1)
        purpose = Purpose.SEQ2SEQ if family in {"t5", "bart"} else Purpose.LANGUAGE
        with torch.no_grad():
            before = model(**inputs(family, purpose))[0]
            disturb(adapt(model, HOULSBY, family, Purpose.LANGUAGE))
            after = model(**inputs(family, purpose))[0]
        assert not torch.allclose(after, before, atol=1e-3), family


def test_first_values():
    torch.manual_seed(0)
    adapter = Bottleneck(nn.Linear(50, 100), AdapterSettings(bottleneck=64))
    named = {n: each for n, each in adapter.named_parameters(prefix="x") if "adapter" in n}
    for name, parameter in named.items():
        ours = initialise(name, parameter.shape, 0)
        assert ours.std() == pytest.approx(parameter.std().item(), rel=0.1)
        assert ours.any() == name.endswith("adapter_down.weight")
    assert len(named) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "tanh"}, "tanh is not known; choose one of gelu, relu, silu"),
        ({"placement": "adapterp"}, "adapterp is not known; choose one of pfeiffer, houlsby"),
    ],
)
def test_words_that_are_not_known(changes, message):
    settings = AdapterSettings(kind="bottleneck", **changes)
    with pytest.raises(BadInput, match=message):
        inject(tiny_model("bert", 1), settings, "bert", ())
