import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from mpiedge.errors import BadInput
from mpiedge.model.adapter import initialise, inject, is_adapter, tuned_names
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from tests.model.adapted import adapt, disturb, heads_of, inputs, logits
from tests.models import FAMILIES, tiny_model

KINDS = (
    AdapterSettings(kind="lora"),
    AdapterSettings(kind="bottleneck", bottleneck=4, placement="houlsby"),
    AdapterSettings(kind="full"),
)
ADAPTERS = KINDS[:2]


def classifier(family="bert", **changes):
    config = tiny_model(family, 1, **changes).config
    config.num_labels, config.pad_token_id = 3, 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize("settings", ADAPTERS, ids=lambda each: each.kind)
@pytest.mark.parametrize("family", FAMILIES)
def test_only_adapters_and_the_head_are_trained(family, settings):
    model = classifier(family)
    tuned = adapt(model, settings, family, Purpose.CLASSIFICATION)
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    assert trainable == set(tuned)
    assert any(is_adapter(name) for name in tuned)
    heads = heads_of(family, Purpose.CLASSIFICATION)
    others = [name for name in tuned if not is_adapter(name)]
    assert all(name.startswith(heads) for name in others)
    assert all(any(name.startswith(head) for name in others) for head in heads)


@pytest.mark.parametrize("settings", ADAPTERS, ids=lambda each: each.kind)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_step_moves_the_adapters_and_leaves_the_backbone(family, settings):
    model = classifier(family)
    tuned = adapt(model, settings, family, Purpose.CLASSIFICATION)
    disturb(tuned)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    optimizer = torch.optim.SGD(tuned.values(), lr=1.0)
    model(**inputs(family, Purpose.CLASSIFICATION)).logits.square().sum().backward()
    optimizer.step()
    moved = {n for n, each in model.named_parameters() if not torch.equal(each, before[n])}
    assert moved <= set(tuned)
    for name in tuned:
        # The key's bias shifts all scores of a query alike, so its gradient is nothing.
        assert name in moved or tuned[name].grad.abs().max() < 1e-6, name


@pytest.mark.parametrize("settings", ADAPTERS, ids=lambda each: each.kind)
@pytest.mark.parametrize("family", FAMILIES)
def test_first_values_change_nothing(family, settings):
    model = classifier(family)
    before = logits(model, family, Purpose.CLASSIFICATION)
    tuned = adapt(model, settings, family, Purpose.CLASSIFICATION)
    with torch.no_grad():
        for name, parameter in tuned.items():
            first = initialise(name, parameter.shape, seed=3)
            if first is not None:
                parameter.copy_(first)
    assert torch.equal(logits(model, family, Purpose.CLASSIFICATION), before)


@pytest.mark.parametrize("settings", KINDS, ids=lambda each: each.kind)
def test_a_model_without_storage_gets_the_same_names(settings):
    real = classifier()
    with torch.device("meta"):
        meta = AutoModelForSequenceClassification.from_config(real.config)
    expected = adapt(real, settings, "bert", Purpose.CLASSIFICATION)
    tuned = adapt(meta, settings, "bert", Purpose.CLASSIFICATION)
    assert {n: p.shape for n, p in tuned.items()} == {n: p.shape for n, p in expected.items()}
    assert all(parameter.is_meta for parameter in meta.parameters())
    assert all(parameter.requires_grad for parameter in tuned.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_full_trains_everything_once(family):
    model = tiny_model(family, 1)
    settings = AdapterSettings(kind="full")
    inject(model, settings, family, ())
    names = [name for name, _ in model.named_parameters()]
    assert tuned_names(model, settings, ()) == frozenset(names)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("settings", ADAPTERS, ids=lambda each: each.kind)
@pytest.mark.parametrize(("family", "purpose"), [("t5", Purpose.SEQ2SEQ), ("bert", None)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_adapters_are_float32_in_a_half_precision_model(settings, family, purpose, dtype):
    purpose = purpose or Purpose.CLASSIFICATION
    model = (tiny_model(family, 1) if purpose is Purpose.SEQ2SEQ else classifier(family)).to(dtype)
    tuned = adapt(model, settings, family, purpose)
    disturb(tuned)
    assert {parameter.dtype for parameter in tuned.values()} == {torch.float32}
    frozen = {each.dtype for name, each in model.named_parameters() if name not in tuned}
    assert frozen == {dtype}
    out = model(**inputs(family, purpose)).logits
    out.float().square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in tuned.values())


def test_a_model_being_evaluated_stays_so():
    model = classifier()
    inject(model, AdapterSettings(dropout=0.5), "bert", ("classifier",))
    assert not any(module.training for module in model.modules())


def test_purposes_without_a_new_head_train_adapters_only():
    config = tiny_model("llama", 1).config
    model = AutoModelForCausalLM.from_config(config)
    tuned = adapt(model, AdapterSettings(), "llama", Purpose.LANGUAGE)
    assert all(is_adapter(name) for name in tuned)


def test_initial_values_depend_on_seed_and_name_only():
    name, shape = "a.query.lora_A.default.weight", torch.Size((4, 16))
    first = initialise(name, shape, 1)
    torch.manual_seed(9)
    assert torch.equal(initialise(name, shape, 1), first)
    assert not torch.equal(initialise(name, shape, 2), first)
    assert not torch.equal(initialise("b.query.lora_A.default.weight", shape, 1), first)


def test_initial_values_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    initialise("a.adapter_down.weight", torch.Size((4, 16)), 1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "name", ["classifier.weight", "a.query.base_layer.weight", "mlp.down_proj.weight"]
)
def test_initial_values_are_for_adapters_only(name):
    assert initialise(name, torch.Size((2, 2)), 0) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "prefix"}, "prefix is not known; choose one of lora, bottleneck, parallel, full"),
        ({"r": 0}, "adapter.r: must be at least 1, not 0"),
        ({"alpha": -1}, "adapter.alpha: must be at least 1, not -1"),
        ({"bottleneck": 0, "kind": "bottleneck"}, "adapter.bottleneck: must be at least 1, not 0"),
        ({"kind": "parallel", "form": "C"}, "adapter.form: C is not known; choose one of A, B"),
        (
            {"kind": "parallel", "merge": "sum"},
            "adapter.merge: sum is not known; choose one of auto, n",
        ),
        ({"kind": "parallel", "reduction": 0}, "adapter.reduction: must be at least 1, not 0"),
        ({"dropout": 1.0}, "adapter.dropout: must be at least 0 and below 1, not 1.0"),
        ({"dropout": -0.1}, "adapter.dropout: must be at least 0 and below 1, not -0.1"),
    ],
)
def test_settings_that_no_adapter_can_have(changes, message):
    with pytest.raises(BadInput, match=message):
        inject(classifier(), AdapterSettings(**changes), "bert", ("classifier",))


def test_a_family_without_sites():
    with pytest.raises(BadInput, match="family mamba cannot be adapted; choose one of bert"):
        inject(classifier(), AdapterSettings(), "mamba", ("classifier",))


@pytest.mark.parametrize("settings", ADAPTERS, ids=lambda each: each.kind)
def test_one_adapter_a_model(settings):
    model = classifier()
    inject(model, settings, "bert", ("classifier",))
    with pytest.raises(BadInput, match="has an adapter already"):
        inject(model, settings, "bert", ("classifier",))
