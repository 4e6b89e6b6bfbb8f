"""The transformers call of a model with a side network."""

import copy

import pytest
import torch
from torch.nn import functional
from transformers.modeling_outputs import (
    CausalLMOutput,
    Seq2SeqLMOutput,
    SequenceClassifierOutput,
)

import mpiedge
from mpiedge.errors import BadInput
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from tests.model.adapted import EVERY, disturb, inputs
from tests.model.beside import SIDE, trained
from tests.model.rows import answer, batch
from tests.models import FAMILIES, save_tiny

LABELLED = Purpose.CLASSIFICATION
OUTPUTS = {
    LABELLED: SequenceClassifierOutput,
    Purpose.REGRESSION: SequenceClassifierOutput,
    Purpose.LANGUAGE: CausalLMOutput,
    Purpose.SEQ2SEQ: Seq2SeqLMOutput,
}
DROPPING = AdapterSettings(kind="parallel", reduction=4, dropout=0.5)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each family for a purpose, loaded when it is first asked for."""
    root = tmp_path_factory.mktemp("models")
    bases = {family: save_tiny(family, root / family, blocks=1) for family in FAMILIES}

    def made(family, purpose, settings=SIDE):
        folder = root / f"{family}-{purpose.value}-{settings.dropout}"
        trained(bases[family], folder, purpose, settings)
        return mpiedge.load(bases[family], folder)

    return made


def labels_of(purpose, output):
    rows = len(output.logits)
    return {
        LABELLED: torch.arange(rows) % 3,
        Purpose.REGRESSION: torch.linspace(0, 1, rows),
        Purpose.LANGUAGE: torch.full(output.logits.shape[:2], 7),
        Purpose.SEQ2SEQ: torch.full(output.logits.shape[:2], 7),
    }[purpose]


def loss_of(purpose, logits, labels):
    if purpose is Purpose.REGRESSION:
        return functional.mse_loss(logits.squeeze(), labels)
    if purpose is Purpose.LANGUAGE:
        logits, labels = logits[:, :-1], labels[:, 1:]
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.flatten())


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_what_comes_out(family, purpose, models):
    model, given = models(family, purpose), inputs(family, purpose)
    output = model(**given)
    assert type(output) is OUTPUTS[purpose]
    assert output.loss is None
    labels = labels_of(purpose, output)
    again = model(**given, labels=labels)
    assert torch.equal(again.logits, output.logits)
    assert torch.allclose(again.loss, loss_of(purpose, output.logits, labels))
    loss, logits = model(**given, labels=labels, return_dict=False)
    assert torch.equal(loss, again.loss)
    assert torch.equal(logits, output.logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_mask_every_token_is_real(family, models):
    model, given = models(family, LABELLED), inputs(family, LABELLED)
    expected = model(**given).logits
    assert torch.equal(model(given["input_ids"]).logits, expected)
    assert torch.equal(model(given["input_ids"], given["attention_mask"]).logits, expected)
    given["attention_mask"] = given["attention_mask"].bool()
    assert torch.equal(model(**given).logits, expected)
    given["attention_mask"][0, 4:] = False
    assert not torch.equal(model(**given).logits[0], expected[0])


def test_the_kinds_of_tokens_are_heard(models):
    model, given = models("bert", LABELLED), inputs("bert", LABELLED)
    types = torch.zeros_like(given["input_ids"])
    assert torch.equal(model(**given, token_type_ids=types).logits, model(**given).logits)
    types[:, 4:] = 1
    assert not torch.equal(model(**given, token_type_ids=types).logits, model(**given).logits)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_decoder_reads_the_text_to_classify_one_token_late(family, models):
    model, given = models(family, LABELLED), inputs(family, LABELLED)
    start = torch.full((2, 1), model.config.decoder_start_token_id)
    late = torch.cat([start, given["input_ids"][:, :-1]], dim=1)
    assert torch.equal(model(**given, decoder_input_ids=late).logits, model(**given).logits)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_decoder_reads_the_answer_one_token_late(family, models):
    model, given = models(family, Purpose.SEQ2SEQ), inputs(family, Purpose.SEQ2SEQ)
    labels = given.pop("decoder_input_ids").clone()
    labels[0, 3:] = -100
    output = model(**given, labels=labels)
    late = model.prepare_decoder_input_ids_from_labels(labels=labels)
    expected = model(**given, decoder_input_ids=late).logits
    assert torch.equal(output.logits, expected)
    real = functional.cross_entropy(expected[labels != -100], labels[labels != -100])
    assert torch.allclose(output.loss, real)


def greedy(model, given, count, start=None):
    """Token by token, each from a whole pass."""
    tokens, grows = given.tokens, given.mask
    written = torch.full((len(tokens), 1), 0 if start is None else start)
    for _ in range(count):
        more = {} if start is None else {"decoder_input_ids": written}
        with torch.no_grad():
            logits = model(tokens, attention_mask=grows, **more).logits[:, -1]
        best = logits.argmax(-1, keepdim=True)
        if start is None:
            tokens, grows = torch.cat([tokens, best], 1), torch.cat([grows, grows[:, -1:]], 1)
        else:
            written = torch.cat([written, best], 1)
    return tokens if start is None else written


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
def test_transformers_generates_with_it(family, models):
    purpose = Purpose.SEQ2SEQ if family in ("t5", "bart") else Purpose.LANGUAGE
    model, given = models(family, purpose), batch(family, left=family in ("gpt2", "llama"))
    start = model.config.decoder_start_token_id if purpose is Purpose.SEQ2SEQ else None
    asked = {"attention_mask": given.mask, "eos_token_id": None, "pad_token_id": 0}
    forced = {"forced_eos_token_id": None, "forced_bos_token_id": None}
    found = model.generate(given.tokens, max_new_tokens=6, do_sample=False, **asked, **forced)
    assert torch.equal(found, greedy(model, given, 6, start))
    beams = model.generate(given.tokens, max_new_tokens=4, num_beams=3, **asked, **forced)
    assert beams.shape[0] == len(given.tokens)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_what_is_encoded_is_encoded_once(family, models):
    model, given, calls = models(family, Purpose.SEQ2SEQ), batch(family), []
    encoder = model.base_model.encoder
    block = encoder.block[0] if family == "t5" else encoder.layers[0]
    block.register_forward_hook(lambda *_: calls.append(1))
    model.generate(given.tokens, attention_mask=given.mask, max_new_tokens=5, eos_token_id=None)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("inputs_embeds", torch.zeros(2, 7, 32)),
        ("position_ids", torch.arange(7)),
        ("past_key_values", object()),
    ],
)
def test_what_it_cannot_take(name, value, models):
    model = models("gpt2", Purpose.LANGUAGE)
    with pytest.raises(BadInput, match=f"{name}: a model with a side network cannot take it"):
        model(**inputs("gpt2", Purpose.LANGUAGE), **{name: value})


def test_a_cache_of_keys_is_refused_rather_than_wrong(models):
    model, given = models("llama", Purpose.LANGUAGE), batch("llama", left=True)
    with pytest.raises(BadInput, match="(past_key_values|cache): .*use_cache=False"):
        model.generate(given.tokens, attention_mask=given.mask, use_cache=True, max_new_tokens=2)


@pytest.mark.parametrize(("family", "needed"), [("bert", "input_ids"), ("t5", "input_ids")])
def test_nothing_given(family, needed, models):
    with pytest.raises(BadInput, match=f"{needed}: a model with a side network needs tokens"):
        models(family, LABELLED)(attention_mask=torch.ones(1, 3))


def test_no_answer_to_begin_with(models):
    given = inputs("bart", Purpose.SEQ2SEQ)
    del given["decoder_input_ids"]
    with pytest.raises(BadInput, match="decoder_input_ids or labels: .* none were given"):
        models("bart", Purpose.SEQ2SEQ)(**given)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_network_beside_has_dropout(family, models):
    model, given = models(family, LABELLED, DROPPING), inputs(family, LABELLED)
    still = model(**given).logits
    model.train()
    dropped = [model(**given).logits for _ in range(2)]
    assert not torch.equal(dropped[0], dropped[1])
    blocks = model.get_submodule(next(n for n, _ in model.named_modules() if n.endswith(".0")))
    assert not blocks.training
    assert model.side.training
    model.eval()
    assert torch.equal(model(**given).logits, still)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_adapter_and_nothing_else(family, models):
    model, given = models(family, LABELLED), inputs(family, LABELLED)
    model(**given, labels=torch.tensor([0, 2])).loss.backward()
    reached = {name for name, each in model.named_parameters() if each.grad is not None}
    assert reached == {name for name, each in model.named_parameters() if each.requires_grad}
    assert all(name.startswith("side.") or "classif" in name or "score" in name for name in reached)


def test_a_copy_is_a_model_of_its_own(models):
    model, given = models("t5", LABELLED), batch("t5")
    expected = answer(model, given, LABELLED)
    other = copy.deepcopy(model)
    disturb({"up": other.side.up.weight})
    assert torch.equal(answer(model, given, LABELLED), expected)
    assert not torch.equal(answer(other, given, LABELLED), expected)


def test_the_class_is_left_as_it_was(models):
    model = models("bert", LABELLED)
    plain = type(model)(model.config).eval()
    assert plain(**inputs("bert", LABELLED)).logits.shape == (2, 3)
    assert "forward" not in vars(plain)
