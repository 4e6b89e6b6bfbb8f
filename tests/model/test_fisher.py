"""Importance from gradients: what it is, what it leaves behind, what memory it needs."""

import pytest
import torch
from torch.nn import functional

from mpiedge.model.activation import entrance
from mpiedge.model.adapter import inject
from mpiedge.model.fisher import Batch, fisher, fisher_bytes
from mpiedge.model.prune import pruned
from mpiedge.model.prune_order import scored
from mpiedge.model.purpose import Purpose
from tests.model.adapted import EVERY
from tests.model.beside import SIDE
from tests.model.rows import answer, batch, entries, loaded, opened, reference
from tests.models import FAMILIES, save_tiny

LENGTHS = ((7, 4, 9), (5, 5), (3, 8, 6))


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: save_tiny(family, folder / family) for family in FAMILIES}


def purpose_of(family):
    return {"t5": Purpose.SEQ2SEQ, "bart": Purpose.SEQ2SEQ}.get(family, Purpose.CLASSIFICATION)


def loss(logits, labels):
    if logits.shape[-1] == 1:
        return functional.mse_loss(logits.squeeze(-1), labels.float())
    logits = logits if logits.dim() == 2 else logits[:, -1]
    return functional.cross_entropy(logits, labels, reduction="sum")


def given_of(shard, purpose):
    """Batches as they enter a shard, and what they were made of."""
    # Where the last token answers it has to be a real one.
    level = purpose is Purpose.LANGUAGE
    lengths = [[max(each)] * len(each) if level else each for each in LENGTHS]
    made = [batch(shard.blueprint.family.name, each) for each in lengths]
    labels = [torch.arange(len(each.tokens)) % 3 for each in made]
    entered = [
        Batch(entrance(each.mask), entries(shard, each, purpose), right)
        for each, right in zip(made, labels, strict=True)
    ]
    return entered, made, labels


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_it_is_the_sum_of_squared_gradients(family, purpose, bases):
    shard = loaded(bases[family], purpose)
    entered, made, labels = given_of(shard, purpose)
    found = fisher(shard, entered, loss)
    model = reference(bases[family], purpose, shard)
    expected = {name: 0.0 for name in found}
    for given, right in zip(made, labels, strict=True):
        model.zero_grad()
        decoded = {"decoder_input_ids": given.decoder_tokens}
        asked = decoded if purpose is Purpose.SEQ2SEQ else {}
        logits = model(given.tokens, attention_mask=given.mask, **asked).logits
        loss(logits, right).backward()
        more = {name: model.get_parameter(name).grad ** 2 for name in found}
        expected = {name: each + more[name] for name, each in expected.items()}
    for name, importance in found.items():
        scale = expected[name].max()
        assert scale > 0
        assert torch.allclose(importance / scale, expected[name] / scale, atol=1e-4), name


@pytest.mark.parametrize("family", FAMILIES)
def test_pruning_goes_by_it(family, bases):
    purpose = purpose_of(family)
    shard = loaded(bases[family], purpose)
    importance = fisher(shard, given_of(shard, purpose)[0], loss)
    blueprint = opened(bases[family], purpose)
    inject(blueprint.model, SIDE, family, ())
    by_size = pruned(blueprint)
    by_gradient = pruned(blueprint, lambda name, _: importance[name])
    assert by_gradient.keys() == by_size.keys()
    assert any(not torch.equal(by_gradient[name], each) for name, each in by_size.items())


def test_the_shard_is_left_as_it_was(bases):
    shard = loaded(bases["llama"], Purpose.CLASSIFICATION)
    shard.train()
    before = {name: each.clone() for name, each in shard.model.state_dict().items()}
    given = given_of(shard, Purpose.CLASSIFICATION)[0]
    first = fisher(shard, given, loss)
    assert shard.training
    assert not any(each.requires_grad for each in shard.model.parameters())
    assert all(each.grad is None for each in shard.model.parameters())
    after = shard.model.state_dict()
    assert all(torch.equal(after[name], each) for name, each in before.items())
    # No hook is left either: a second time gives the same, not twice as much.
    second = fisher(shard, given, loss)
    assert all(torch.equal(second[name], each) for name, each in first.items())


def test_what_fails_meanwhile_leaves_it_so_too(bases):
    shard = loaded(bases["bert"], Purpose.CLASSIFICATION)

    def broken(logits, labels):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fisher(shard, given_of(shard, Purpose.CLASSIFICATION)[0], broken)
    assert not any(each.requires_grad for each in shard.model.parameters())


def test_no_more_batches_than_asked_for(bases):
    shard, taken = loaded(bases["bert"], Purpose.CLASSIFICATION), []

    def endless():
        while True:
            taken.append(1)
            yield given_of(shard, Purpose.CLASSIFICATION)[0][0]

    once, thrice = (fisher(shard, endless(), loss, most=count) for count in (1, 3))
    assert len(taken) == 4
    assert all(torch.allclose(3 * each, thrice[name]) for name, each in once.items())


def test_some_of_the_layers_are_not_enough(bases):
    shard = loaded(bases["bert"], Purpose.CLASSIFICATION, range(2))
    with pytest.raises(ValueError, match="all 4 layers are needed"):
        fisher(shard, [], loss)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("blocks", [1, 3])
def test_the_memory_it_needs_is_known_before(family, blocks, tmp_path):
    purpose = {"gpt2": Purpose.LANGUAGE, "llama": Purpose.LANGUAGE}.get(family, purpose_of(family))
    shard = loaded(save_tiny(family, tmp_path, blocks), purpose)
    given, kept = batch(family, (16,) * 8), {}
    weights = {each.untyped_storage().data_ptr() for each in shard.model.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    entered = Batch(entrance(given.mask), entries(shard, given, purpose), torch.arange(8) % 3)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        sums = fisher(shard, [entered], loss)
    weigh = sum(4 * each.numel() for each in shard.model.parameters())
    added = [4 * each.numel() for each in sums.values()]
    needed = weigh + sum(added) + max(added) + sum(kept.values())
    assert needed < fisher_bytes(opened(tmp_path, purpose), (8, 16)) < 2.5 * needed


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_that_is_scored_lies_in_a_block_or_is_the_embedding(family, bases):
    blueprint = opened(bases[family], purpose_of(family))
    first, *rest = [name for name in scored(blueprint) if name in dict(named(blueprint))]
    assert 0 in blueprint.layers_of(first)
    blocks = {i for i, layer in enumerate(blueprint.anatomy.layers) if layer.block is not None}
    matrices = [
        name
        for name, each in named(blueprint)
        if each.dim() == 2 and set(blueprint.layers_of(name)) & blocks and "relative" not in name
    ]
    assert sorted(rest) == sorted(matrices)


def named(blueprint):
    return list(blueprint.model.named_parameters())


def test_a_forgotten_gradient_does_not_count(bases):
    shard = loaded(bases["bert"], Purpose.CLASSIFICATION)
    given = given_of(shard, Purpose.CLASSIFICATION)[0]
    expected = fisher(shard, given, loss)
    answer(shard.model, batch("bert"), Purpose.CLASSIFICATION)
    with torch.no_grad():
        found = fisher(shard, given, loss)
    assert all(torch.equal(found[name], each) for name, each in expected.items())
