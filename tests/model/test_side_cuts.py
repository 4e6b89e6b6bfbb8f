"""A side network gives the same wherever the model beside it is cut: logits, gradients, dropout."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.families import FAMILIES
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from tests.model.alongside import beside
from tests.model.rows import Batch, batch, entries, run
from tests.models import save_tiny

EVERY = [(family.name, purpose) for family in FAMILIES.values() for purpose in family.heads]
LAST = [(family, list(FAMILIES[family].heads)[-1]) for family in FAMILIES]
WAYS = (("A", "none"), ("B", "add"), ("A", "gate"))
MERGED = [(*each, "none") for each in LAST] + [(*LAST[0], "add"), (*LAST[4], "gate")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_every_cut_gives_exactly_the_logits_of_no_cut(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, whole = batch(family), beside(tiny[family], purpose)
    size = whole.blueprint.num_layers
    expected = run([(whole, range(size))], given, purpose).hidden
    assert expected.isfinite().all()
    for cut in range(1, size):
        parts = (range(cut), range(cut, size))
        halves = [(beside(tiny[family], purpose, part), part) for part in parts]
        assert torch.equal(run(halves, given, purpose).hidden, expected), cut


@pytest.mark.parametrize(("form", "merge"), WAYS)
@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_one_layer_a_rank_gives_exactly_the_logits_of_no_cut(
    tiny: dict[str, Path], family: str, purpose: Purpose, form: str, merge: str
) -> None:
    given, how = batch(family), {"form": form, "merge": merge}
    whole = beside(tiny[family], purpose, **how)
    size = whole.blueprint.num_layers
    shards = [beside(tiny[family], purpose, [layer], **how) for layer in range(size)]
    row = [(shard, range(layer, layer + 1)) for layer, shard in enumerate(shards)]
    expected = run([(whole, range(size))], given, purpose).hidden
    assert torch.equal(run(row, given, purpose).hidden, expected)


@pytest.mark.parametrize(("family", "purpose", "merge"), MERGED)
def test_gradients_cross_every_cut_in_the_side_network_only(
    tiny: dict[str, Path], family: str, purpose: Purpose, merge: str
) -> None:
    given, whole = batch(family), beside(tiny[family], purpose, merge=merge)
    size = whole.blueprint.num_layers
    backward([whole], [range(size)], given, purpose)
    expected = {name: each.grad for name, each in whole.tuned_parameters().items()}
    assert all(gradient is not None for gradient in expected.values())
    for cut in range(1, size):
        parts = [range(cut), range(cut, size)]
        halves = [beside(tiny[family], purpose, part, merge=merge) for part in parts]
        backward(halves, parts, given, purpose)
        for name, gradient in expected.items():
            found = [half.tuned_parameters().get(name) for half in halves]
            total = sum(each.grad for each in found if each is not None)
            # The key's bias has no gradient but rounding.
            close = {"rtol": 1e-4, "atol": 1e-5 * max(1.0, float(gradient.abs().max()))}
            assert torch.allclose(total, gradient, **close), (cut, name)


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_dropout_is_the_side_networks_and_the_same_wherever_the_model_is_cut(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, whole = batch(family), beside(tiny[family], purpose, dropout=0.3)
    size = whole.blueprint.num_layers
    calm = dropped([whole], [range(size)], given, purpose)
    expected = dropped([whole.train()], [range(size)], given, purpose)
    assert not torch.equal(expected.hidden, calm.hidden)
    for cut in range(1, size):
        parts = [range(cut), range(cut, size)]
        halves = [beside(tiny[family], purpose, part, dropout=0.3).train() for part in parts]
        assert torch.equal(dropped(halves, parts, given, purpose).hidden, expected.hidden), cut
        x = dropped(halves[:1], parts[:1], given, purpose)
        assert torch.equal(x.hidden, dropped([whole.eval()], parts[:1], given, purpose).hidden)
        whole.train()


@pytest.mark.parametrize(("family", "purpose"), LAST)
def test_without_dropout_of_its_own_training_is_as_evaluation(
    tiny: dict[str, Path], family: str, purpose: Purpose
) -> None:
    given, whole = batch(family), beside(tiny[family], purpose)
    every = [range(whole.blueprint.num_layers)]
    calm = dropped([whole], every, given, purpose).hidden
    assert torch.equal(dropped([whole.train()], every, given, purpose).hidden, calm)
    training = {name for name, module in whole.model.named_modules() if module.training}
    assert "side.up" in training
    assert all(name.startswith("side") for name in training)


def backward(
    shards: Sequence[Shard], parts: Sequence[range], given: Batch, purpose: Purpose
) -> None:
    """Forward and backward through parts of a model, gradients handed over as ranks do."""
    x, crossed = entrance(given.mask), list[tuple[Activation, Activation]]()
    for shard, layers in zip(shards, parts, strict=True):
        entered = Activation(*(each.detach().requires_grad_(each.requires_grad) for each in x))
        crossed.append((x, entered))
        x = shard(entered, layers, entries(shard, given, purpose))
        assert not x.encoded.requires_grad
        assert x.hidden.requires_grad == (shard.blueprint.num_layers - 1 in layers)
    x.hidden.square().sum().backward()
    for left, entered in reversed(crossed[1:]):
        owed = [(a, b.grad) for a, b in zip(left, entered, strict=True) if a.requires_grad]
        assert len(owed) in (1, 2)
        torch.autograd.backward(
            [a for a, _ in owed], [torch.zeros_like(a) if b is None else b for a, b in owed]
        )


def dropped(
    shards: Sequence[Shard], parts: Sequence[range], given: Batch, purpose: Purpose
) -> Activation:
    x = entrance(given.mask)
    for shard, layers in zip(shards, parts, strict=True):
        x = shard(x, layers, entries(shard, given, purpose), lambda layer: 70 + layer)
    return Activation(*(tensor.detach() for tensor in x))
