"""Wherever a model is cut, the parts in a row give the whole transformers model's logits."""

from pathlib import Path

import pytest
import torch

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.attention import positions
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from tests.model.rows import answer, batch, entries, loaded, opened, reference, run
from tests.models import save_tiny

EVERY = [(family.name, purpose) for family in FAMILIES.values() for purpose in family.heads]
DECODING = [each for each in EVERY if each[0] not in ("bert", "roberta")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


def test_every_purpose_of_every_family_is_tested() -> None:
    assert len(EVERY) == 2 * len(FAMILIES) + 4


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_every_cut_gives_exactly_the_whole_models_logits(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    folder = tiny[family]
    size = opened(folder, purpose).num_layers
    given = batch(family)
    whole = loaded(folder, purpose)
    expected = answer(reference(folder, purpose, whole), given, purpose)
    if purpose is Purpose.LANGUAGE:
        expected[given.mask == 0] = 0
    for cut in range(size + 1):
        first = loaded(folder, purpose, range(cut))
        second = loaded(folder, purpose, range(cut, size))
        logits = run([(first, range(cut)), (second, range(cut, size))], given, purpose).hidden
        if purpose is Purpose.LANGUAGE:
            logits[given.mask == 0] = 0
        assert torch.equal(logits, expected), (cut, (logits - expected).abs().max())


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_one_layer_a_rank_gives_exactly_the_whole_models_logits(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given = batch(family, lengths=(6, 6))
    size = opened(tiny[family], purpose).num_layers
    shards = [loaded(tiny[family], purpose, [layer]) for layer in range(size)]
    row = [(shard, range(layer, layer + 1)) for layer, shard in enumerate(shards)]
    expected = answer(reference(tiny[family], purpose, shards[-1]), given, purpose)
    assert torch.equal(run(row, given, purpose).hidden, expected)


@pytest.mark.parametrize(("family", "purpose"), DECODING)
def test_padding_on_the_left_is_as_transformers_has_it(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given = batch(family, left=True)
    whole = loaded(tiny[family], purpose)
    size = whole.blueprint.num_layers
    # As transformers' own generate() numbers a padded row.
    more = {"position_ids": positions(given.mask)} if family in ("gpt2", "llama") else {}
    expected = answer(reference(tiny[family], purpose, whole), given, purpose, **more)
    for cut in range(size + 1):
        halves = [(whole, range(cut)), (whole, range(cut, size))]
        assert torch.equal(run(halves, given, purpose).hidden, expected), cut


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("purpose", [Purpose.CLASSIFICATION, Purpose.LANGUAGE])
def test_the_side_of_the_padding_makes_no_difference(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    whole = loaded(tiny[family], purpose)
    every = range(whole.blueprint.num_layers)
    sides = []
    for left in (False, True):
        given = batch(family, left=left)
        logits = run([(whole, every)], given, purpose).hidden
        sides.append(logits[given.mask == 1] if purpose is Purpose.LANGUAGE else logits)
    # Attention adds up the same numbers in another order.
    assert torch.allclose(sides[0], sides[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("family", "purpose"), DECODING)
def test_gradients_are_finite_where_padding_sees_nothing(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given = batch(family, left=True)
    shard = trained(tiny[family], purpose)
    logits = shard(
        entrance(given.mask), range(shard.blueprint.num_layers), entries(shard, given, purpose)
    ).hidden
    logits.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in shard.model.parameters())


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_gradients_through_every_cut_are_the_whole_models(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    whole = trained(tiny[family], purpose)
    given, size = batch(family), whole.blueprint.num_layers
    model = reference(tiny[family], purpose, whole)
    more = {"decoder_input_ids": given.decoder_tokens} if purpose is Purpose.SEQ2SEQ else {}
    logits = model(given.tokens, attention_mask=given.mask, **more).logits
    weight = given.mask[..., None] if purpose is Purpose.LANGUAGE else 1
    (logits * weight).square().sum().backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for cut in range(1, size):
        shard = whole if cut == 1 else trained(tiny[family], purpose)
        rows = entries(shard, given, purpose)
        middle = shard(entrance(given.mask), range(cut), rows)
        carried = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in middle]
        logits = shard(Activation(*carried), range(cut, size), rows).hidden
        (logits * weight).square().sum().backward()
        # The head of an encoder-decoder has no use for the encoder's output.
        back = [(a, b.grad) for a, b in zip(middle, carried, strict=True) if b.grad is not None]
        torch.autograd.backward([a for a, _ in back], [b for _, b in back])
        for name, gradient in expected.items():
            found = shard.model.get_parameter(name).grad
            # A tensor used in both parts adds up its gradients in another order.
            assert torch.allclose(found, gradient, rtol=1e-4, atol=1e-4 * gradient.abs().max())


def trained(folder: Path, purpose: Purpose) -> Shard:
    """The whole model, every weight of it trained."""
    blueprint = opened(folder, purpose)
    names = frozenset(name for name, _ in blueprint.model.named_parameters())
    return load(blueprint, range(blueprint.num_layers), tuned=names).eval()
