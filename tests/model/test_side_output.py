"""What a side network computes: the published equations, and what the head sees of it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mpiedge.model.adapter import inject
from mpiedge.model.attention import last_real
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.side import SideNetwork
from tests.model.alongside import beside, move, planned, settings, side, tuned
from tests.model.rows import answer, batch, loaded, opened, reference, run
from tests.models import save_tiny

LAST = [(family, list(FAMILIES[family].heads)[-1]) for family in FAMILIES]
NORMED = [each for each in LAST if each[0] in ("gpt2", "llama", "t5")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


@pytest.mark.parametrize("form", ["A", "B"])
def test_an_encoder_computes_the_published_equations(tiny: dict[str, Path], form: str) -> None:
    shard, given = beside(tiny["bert"], Purpose.CLASSIFICATION, form=form), batch("bert", (6, 6))
    network, parts = side(shard.model), shard.model.side.backbone.encoder.layer
    with torch.no_grad():
        seen = shard.model.bert(given.tokens, output_hidden_states=True).hidden_states
        a = network.down["0"](seen[0])
        for i, block in enumerate(parts, start=1):
            below = network.down[str(i)](seen[i])
            if form == "A":
                mu = torch.sigmoid(network.gate[str(i)] / 0.1)
                assert 0.01 < float((mu - 0.5).abs()) < 0.49
                a = block(mu * a + (1 - mu) * below)
            else:
                a = block(a + below)
        hidden = network.up(nn.functional.layer_norm(a, (8,), network.norm["3"].weight))
        expected = shard.model.classifier(shard.model.bert.pooler(hidden))
    logits = run([(shard, range(4))], given, Purpose.CLASSIFICATION).hidden
    assert len(network.gate) == (2 if form == "A" else 0)
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_a_decoder_begins_anew_and_looks_at_the_small_encoder(tiny: dict[str, Path]) -> None:
    shard, given = beside(tiny["bart"], Purpose.SEQ2SEQ), batch("bart", (6, 6))
    network, model = side(shard.model), shard.model
    small = network.backbone
    with torch.no_grad():
        seen = model(
            given.tokens, decoder_input_ids=given.decoder_tokens, output_hidden_states=True
        )
        a = network.down["0"](seen.encoder_hidden_states[0])
        for i in (1, 2):
            below = network.down[str(i)](seen.encoder_hidden_states[i])
            a = small.encoder.layers[i - 1](mixed(network, i, a, below), attention_mask=None)
        encoded = network.norm["3"](a)
        seq = given.decoder_tokens.shape[1]
        causal = torch.full((seq, seq), float("-inf")).triu(1)[None, None].expand(3, -1, -1, -1)
        causal = causal[: len(encoded)]
        a = network.down["3"](seen.decoder_hidden_states[0])
        for i in (4, 5, 6):
            below = network.down[str(i)](seen.decoder_hidden_states[i - 3])
            a = small.decoder.layers[i - 4](
                mixed(network, i, a, below),
                attention_mask=causal,
                encoder_hidden_states=encoded,
            )
        hidden = network.up(network.norm["7"](a))
        expected = model.lm_head(hidden) + model.final_logits_bias
    logits = run([(shard, range(8))], given, Purpose.SEQ2SEQ).hidden
    assert torch.allclose(logits, expected, rtol=1e-4, atol=1e-5)


def mixed(network: SideNetwork, layer: int, side: Tensor, below: Tensor) -> Tensor:
    mu = torch.sigmoid(network.gate[str(layer)] / 0.1)
    return mu * side + (1 - mu) * below


@pytest.mark.parametrize(("family", "purpose"), NORMED)
def test_without_a_merge_the_models_last_norm_is_not_applied(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given = batch(family)
    logits = {}
    for merge in ("none", "add"):
        shard = beside(tiny[family], purpose, merge=merge)
        every = [(shard, range(shard.blueprint.num_layers))]
        before = run(every, given, purpose).hidden
        norm = FAMILIES[family].stacks[-1].norm
        with torch.no_grad():
            shard.model.base_model.get_submodule(norm).weight.mul_(3.0)
        logits[merge] = torch.equal(run(every, given, purpose).hidden, before)
    assert logits == {"none": True, "add": False}


def test_t5s_scale_of_tied_embeddings_is_kept(tiny: dict[str, Path]) -> None:
    shard, given = beside(tiny["t5"], Purpose.SEQ2SEQ), batch("t5")
    x = run([(shard, range(7))], given, Purpose.SEQ2SEQ)
    with torch.no_grad():
        ended = shard.model.side.backbone.decoder.final_layer_norm(x.side)
        expected = shard.model.lm_head(shard.model.side.up(ended) * 32**-0.5)
    logits = run([(shard, range(8))], given, Purpose.SEQ2SEQ).hidden
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_added_to_the_model_it_begins_as_the_pretrained_one(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, blueprint = batch(family), planned(tiny[family], purpose, merge="add")
    every = range(blueprint.num_layers)
    shard = load(blueprint, every, tuned=tuned(blueprint)).eval()
    plain = loaded(tiny[family], purpose)
    expected = run([(plain, every)], given, purpose).hidden
    assert torch.equal(run([(shard, every)], given, purpose).hidden, expected)
    move(shard)
    assert not torch.equal(run([(shard, every)], given, purpose).hidden, expected)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_a_gate_weighs_both_for_each_feature(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, shard = batch(family), beside(tiny[family], purpose, merge="gate")
    every = range(shard.blueprint.num_layers)
    assert shard.model.side.merge["gate"].shape == (32,)
    with torch.no_grad():
        shard.model.side.merge["gate"].fill_(-100.0)
    plain = reference(tiny[family], purpose, shard)
    if purpose is Purpose.LANGUAGE:
        given = batch(family, (5, 5))
    expected = answer(plain, given, purpose)
    found = run([(shard, every)], given, purpose).hidden
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_in_half_precision_the_side_network_is_float32(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    blueprint = opened(tiny[family], purpose, "bfloat16")
    inject(blueprint.model, settings(merge="add"), family, blueprint.head_names)
    every = range(blueprint.num_layers)
    shard = load(blueprint, every, tuned=tuned(blueprint), seed=3)
    move(shard)
    assert {each.dtype for each in side(shard.model).parameters()} == {torch.float32}
    given = batch(family)
    logits = run([(shard.eval(), every)], given, purpose).hidden.float()
    full = run([(beside(tiny[family], purpose, merge="add"), every)], given, purpose).hidden
    assert torch.allclose(logits, full, rtol=0, atol=0.05 * float(full.abs().max()))


def test_the_last_real_token_is_read_behind_the_side_network(tiny: dict[str, Path]) -> None:
    shard = beside(tiny["gpt2"], Purpose.CLASSIFICATION)
    given = batch("gpt2")
    x = run([(shard, range(3))], given, Purpose.CLASSIFICATION)
    with torch.no_grad():
        hidden = shard.model.side.up(shard.model.side.backbone.ln_f(x.side))
        expected = shard.model.score(last_real(hidden, given.mask))
    logits = run([(shard, range(4))], given, Purpose.CLASSIFICATION).hidden
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-6)
