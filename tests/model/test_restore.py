import dataclasses
import json

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model

import mpiedge
from mpiedge.errors import BadInput
from mpiedge.model.export import origin_of, save_adapter
from mpiedge.model.purpose import Purpose
from mpiedge.model.restore import read_adapter
from mpiedge.model.settings import AdapterSettings
from tests.model import beside
from tests.model.adapted import EVERY, adapt, disturb, heads_of, logits, plain
from tests.model.rows import answer, batch
from tests.models import FAMILIES, save_tiny

LORA = AdapterSettings(r=4, alpha=6, dropout=0.1, target_modules=["query"])
SETTINGS = {
    "lora": AdapterSettings(r=4),
    "pfeiffer": AdapterSettings(kind="bottleneck", bottleneck=4, dropout=0.1, activation="relu"),
    "houlsby": AdapterSettings(kind="bottleneck", bottleneck=4, placement="houlsby"),
    "parallel": AdapterSettings(kind="parallel", reduction=4, dropout=0.1),
    "gated": AdapterSettings(
        kind="parallel", reduction=2, form="B", merge="gate", initial="fisher"
    ),
    "full": AdapterSettings(kind="full"),
}
BESIDE = {"parallel", "gated"}
LABELLED = Purpose.CLASSIFICATION


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: save_tiny(family, folder / family, blocks=1) for family in FAMILIES}


def trained(folder, base, settings, purpose=LABELLED):
    """An adapter in a folder, the model it was trained in, and what was trained."""
    model = plain(base, purpose)
    tuned = adapt(model, settings, base.name, purpose)
    disturb(tuned)
    heads = heads_of(base.name, purpose)
    save_adapter(folder, settings, tuned, origin_of(model, str(base), purpose, heads))
    return model, tuned


def edit(path, **changes):
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in fields.items() if value != "gone"}))


@pytest.mark.parametrize("kind", sorted(SETTINGS.keys() - BESIDE))
@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_the_loader_gives_the_same_logits(kind, family, purpose, bases, tmp_path):
    model, tuned = trained(tmp_path, bases[family], SETTINGS[kind], purpose)
    loaded = mpiedge.load_adapter(plain(bases[family], purpose, seed=1), tmp_path)
    assert torch.equal(logits(loaded, family, purpose), logits(model, family, purpose))
    trainable = {name for name, each in loaded.named_parameters() if each.requires_grad}
    assert trainable == set(tuned)


@pytest.mark.parametrize("kind", sorted(BESIDE))
@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_a_plain_model_answers_through_its_side_network(kind, family, purpose, bases, tmp_path):
    made = beside.trained(bases[family], tmp_path, purpose, SETTINGS[kind])
    model, given = plain(bases[family], purpose, seed=1), batch(family)
    before = answer(model, given, purpose)
    assert mpiedge.load_adapter(model, tmp_path) is model
    expected, found = made.logits(given), answer(model, given, purpose)
    # Weights that lie at other addresses can be summed in another order.
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(before, expected, rtol=0, atol=1e-3)
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    assert trainable == set(made.shard.tuned_parameters())


@pytest.mark.parametrize("settings", [LORA, *SETTINGS.values()], ids=lambda each: each.kind)
def test_settings_and_tensors_come_back(settings, bases, tmp_path):
    _, tuned = trained(tmp_path, bases["bert"], settings)
    saved = read_adapter(tmp_path)
    if settings == SETTINGS["lora"]:
        settings = AdapterSettings(r=4, target_modules=["query", "value"])
    if settings.kind == "parallel":  # what is chosen where nothing is said
        merge = "none" if settings.merge == "auto" else settings.merge
        settings = dataclasses.replace(settings, heads=1, merge=merge)
    assert saved.settings == settings
    assert saved.architecture == "BertForSequenceClassification"
    assert saved.tensors.keys() == tuned.keys()
    assert all(torch.equal(saved.tensors[name], each) for name, each in tuned.items())


def test_only_the_tensors_asked_for_are_read(bases, tmp_path):
    trained(tmp_path, bases["bert"], LORA)
    saved = read_adapter(tmp_path, {"classifier.bias", "not there"})
    assert saved.tensors.keys() == {"classifier.bias"}
    assert saved.heads == ("classifier",)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_an_adapter_that_peft_wrote(bases, tmp_path):
    base = bases["bert"]
    new = {"target_modules": ["key", "value"], "modules_to_save": ["pooler"]}
    config = LoraConfig(task_type=TaskType.SEQ_CLS, r=2, **new)
    model = get_peft_model(plain(base, LABELLED), config).eval()
    disturb({name: each for name, each in model.named_parameters() if each.requires_grad})
    model.save_pretrained(tmp_path)
    loaded = mpiedge.load_adapter(plain(base, LABELLED, seed=1), tmp_path)
    assert torch.equal(logits(loaded, "bert", LABELLED), logits(model, "bert", LABELLED))


@pytest.mark.parametrize("kind", SETTINGS)
def test_an_adapter_for_another_architecture(kind, bases, tmp_path):
    trained(tmp_path, bases["bert"], SETTINGS[kind])
    message = (
        "trained in a BertForSequenceClassification, the model given is a "
        "RobertaForSequenceClassification; load"
    )
    with pytest.raises(BadInput, match=message):
        mpiedge.load_adapter(plain(bases["roberta"], LABELLED), tmp_path)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_model_with_other_labels(kind, bases, tmp_path):
    trained(tmp_path, bases["bert"], SETTINGS[kind])
    model = plain(bases["bert"], Purpose.REGRESSION)
    with pytest.raises(BadInput, match=r"\(3,.*\) in the adapter and \(1,.*\) in the model"):
        mpiedge.load_adapter(model, tmp_path)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_model_with_another_number_of_blocks(kind, bases, tmp_path):
    trained(tmp_path / "adapter", bases["bert"], SETTINGS[kind])
    deeper = save_tiny("bert", tmp_path / "bert", blocks=2)
    with pytest.raises(BadInput, match=r"the adapter has no (bert|side)\."):
        mpiedge.load_adapter(plain(deeper, LABELLED), tmp_path / "adapter")


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_weights_cut_short(kind, kept, bases, tmp_path):
    trained(tmp_path, bases["bert"], SETTINGS[kind])
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match="safetensors: is damaged or cut short"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("kind", SETTINGS)
def test_weights_that_are_missing(kind, bases, tmp_path):
    trained(tmp_path, bases["bert"], SETTINGS[kind])
    (path,) = tmp_path.glob("*.safetensors")
    path.unlink()
    with pytest.raises(BadInput, match="safetensors: is not there; copy the whole folder"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_configuration_that_is_missing(kind, bases, tmp_path):
    trained(tmp_path, bases["bert"], SETTINGS[kind])
    (path,) = tmp_path.glob("*.json")
    path.unlink()
    with pytest.raises(BadInput, match=r"neither adapter_config\.json nor config\.json is there"):
        read_adapter(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="nowhere: neither"):
        read_adapter(tmp_path / "nowhere")


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "holds no table")])
def test_a_configuration_that_says_nothing(text, message, tmp_path):
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(BadInput, match=rf"adapter_config\.json: {message}"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"peft_type": "IA3"},
            "peft_type is IA3; it can be one of LORA, MPIEDGE_BOTTLENECK, MPIEDGE_P",
        ),
        ({"r": "gone"}, "r is missing or not known"),
        ({"peft_type": "MPIEDGE_PARALLEL"}, "reduction is missing or not known"),
        ({"task_type": "TOKEN_CLS"}, "TOKEN_CLS is missing or not known"),
        ({"use_dora": True}, "made with use_dora, which mpiedge does not have"),
        ({"target_modules": ".*query"}, "made with target_modules as a pattern"),
    ],
)
def test_an_adapter_that_we_cannot_have(changes, message, bases, tmp_path):
    trained(tmp_path, bases["bert"], LORA)
    edit(tmp_path / "adapter_config.json", **changes)
    with pytest.raises(BadInput, match=message):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reduction": "gone"}, "reduction is missing or not known"),
        ({"reduction": "8"}, "reduction cannot be '8'; copy the file anew"),
        ({"reduction": 3}, "adapter.reduction: 3 does not divide this model"),
        ({"reduction": 0}, "adapter.reduction: must be at least 1, not 0"),
        ({"form": "Z"}, "form cannot be 'Z'; copy the file anew"),
        ({"merge": None}, "merge cannot be None; copy the file anew"),
        ({"dropout": 1.5}, "adapter.dropout: must be at least 0 and below 1, not 1.5"),
        ({"form": "B"}, r"the model has no side\.gate\."),
        ({"reduction": 2}, r"in the adapter and \(.*\) in the model; load the model"),
    ],
)
def test_a_side_network_that_we_cannot_have(changes, message, bases, tmp_path):
    trained(tmp_path, bases["bert"], SETTINGS["parallel"])
    edit(tmp_path / "adapter_config.json", **changes)
    with pytest.raises(BadInput, match=message):
        mpiedge.load_adapter(plain(bases["bert"], LABELLED), tmp_path)
    with pytest.raises(BadInput, match=message):
        mpiedge.load(bases["bert"], tmp_path)
