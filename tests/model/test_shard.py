"""A rank's layers: whose parameters they are, and dropout that any partition draws alike."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.families import FAMILIES
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from tests.model.rows import Batch, batch, entries, loaded, opened
from tests.models import save_tiny

NEEDS = {"t5": Purpose.SEQ2SEQ, "bart": Purpose.SEQ2SEQ}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    # Llama's configuration has no dropout of its own.
    changes = {"llama": {"attention_dropout": 0.2}}
    return {
        family: save_tiny(family, root / family, **changes.get(family, {})) for family in FAMILIES
    }


def seeds(layer: int) -> int:
    return 1000 + layer


def dropped(shards: Mapping[range, Shard], given: Batch, purpose: Purpose) -> Tensor:
    """The logits with dropout."""
    x = entrance(given.mask)
    for layers, shard in shards.items():
        x = shard(x, layers, entries(shard, given, purpose), seeds)
    return x.hidden


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_the_same_wherever_the_model_is_cut(tiny: dict[str, Path], family: str) -> None:
    purpose = NEEDS.get(family, Purpose.CLASSIFICATION)
    whole, given = loaded(tiny[family], purpose).train(), batch(family)
    size = whole.blueprint.num_layers
    expected = dropped({range(size): whole}, given, purpose)
    for cut in range(1, size):
        halves = {
            part: loaded(tiny[family], purpose, part).train()
            for part in (range(cut), range(cut, size))
        }
        assert torch.equal(dropped(halves, given, purpose), expected), cut


@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_dropout_in_training_only(tiny: dict[str, Path], family: str) -> None:
    purpose = NEEDS.get(family, Purpose.CLASSIFICATION)
    shard, given = loaded(tiny[family], purpose), batch(family)
    every = range(shard.blueprint.num_layers)
    plain = shard(entrance(given.mask), every, entries(shard, given, purpose)).hidden
    assert torch.equal(dropped({every: shard}, given, purpose), plain)
    assert not torch.equal(dropped({every: shard.train()}, given, purpose), plain)
    torch.rand(7)
    again = dropped({every: shard}, given, purpose)
    assert torch.equal(again, dropped({every: shard}, given, purpose))
    assert torch.equal(dropped({every: shard.eval()}, given, purpose), plain)


def test_other_seeds_give_other_dropout(tiny: dict[str, Path]) -> None:
    shard, given = loaded(tiny["bert"], Purpose.CLASSIFICATION).train(), batch("bert")
    every, rows = range(4), entries(shard, given, Purpose.CLASSIFICATION)
    first, second = (
        shard(entrance(given.mask), every, rows, lambda layer, s=seed: s + layer).hidden
        for seed in (0, 100)
    )
    assert not torch.equal(first, second)


def test_ranks_that_are_threads_do_not_disturb_each_others_dropout(
    tiny: dict[str, Path],
) -> None:
    given, found = batch("bert"), dict[int, list[Tensor]]()
    shards = [loaded(tiny["bert"], Purpose.CLASSIFICATION).train() for _ in range(3)]
    expected = dropped({range(4): shards[0]}, given, Purpose.CLASSIFICATION)

    def rank(number: int) -> None:
        every = {range(4): shards[number]}
        found[number] = [dropped(every, given, Purpose.CLASSIFICATION) for _ in range(10)]

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(found[number]) for number in range(3)] == [10, 10, 10]
    assert all(torch.equal(each, expected) for rows in found.values() for each in rows)


def test_parameters_of_layers_and_those_that_are_trained(tiny: dict[str, Path]) -> None:
    blueprint = opened(tiny["bert"], Purpose.CLASSIFICATION)
    tuned = frozenset({"classifier.weight", "bert.encoder.layer.0.output.dense.bias"})
    shard = load(blueprint, [1, 3], tuned=tuned)
    assert set(shard.tuned_of(1)) == {"bert.encoder.layer.0.output.dense.bias"}
    assert set(shard.tuned_of(3)) == {"classifier.weight"}
    assert set(shard.tuned_parameters()) == tuned
    assert len(shard.parameters_of(1)) == 16
    assert shard.device == torch.device("cpu")
    assert shard.entry_layers == frozenset()
    trained = {name for name, each in shard.model.named_parameters() if each.requires_grad}
    assert trained - tuned == {n for n, p in shard.model.named_parameters() if p.is_meta} & trained


def test_the_layers_that_take_tokens(tiny: dict[str, Path]) -> None:
    shard = loaded(tiny["bart"], Purpose.SEQ2SEQ)
    assert shard.entry_layers == {0, 3} == {0, shard.blueprint.bridge}
    assert loaded(tiny["bart"], Purpose.SEQ2SEQ, [2, 3, 4]).entry_layers == {3}
    assert loaded(tiny["gpt2"], Purpose.LANGUAGE).entry_layers == {0}


def test_a_layer_that_is_not_held_cannot_be_run(tiny: dict[str, Path]) -> None:
    shard, given = loaded(tiny["bert"], Purpose.CLASSIFICATION, [0, 1]), batch("bert")
    with pytest.raises(ValueError, match=r"layer 2 is not held here: \[0, 1\] are"):
        shard(entrance(given.mask), range(3), entries(shard, given, Purpose.CLASSIFICATION))


def test_what_blocks_share_is_made_once_a_call(
    tiny: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, given = loaded(tiny["t5"], Purpose.SEQ2SEQ), batch("t5")
    made = []
    for stack in (shard.model.encoder, shard.model.decoder):
        attention = stack.block[0].layer[0].SelfAttention
        whole = attention.compute_bias

        def compute(*sizes: int, whole=whole) -> Tensor:  # type: ignore[no-untyped-def]
            made.append(sizes)
            bias: Tensor = whole(*sizes)
            return bias

        monkeypatch.setattr(attention, "compute_bias", compute)
    every = range(shard.blueprint.num_layers)
    shard(entrance(given.mask), every, entries(shard, given, Purpose.SEQ2SEQ))
    assert made == [(9, 9), (5, 5)]


def test_the_bridge_hands_the_encoders_output_and_mask_on(tiny: dict[str, Path]) -> None:
    shard, given = loaded(tiny["t5"], Purpose.SEQ2SEQ), batch("t5")
    rows, start = entries(shard, given, Purpose.SEQ2SEQ), entrance(given.mask)
    before: Activation = shard(start, range(3), rows)
    after: Activation = shard(before, range(3, 4), rows)
    assert before.encoded.numel() == before.encoded_mask.numel() == 0
    assert torch.equal(after.encoded_mask, given.mask)
    assert after.encoded.shape == (3, 9, 32)
    assert after.hidden.shape == (3, 5, 32)
    assert torch.equal(after.mask, torch.ones(3, 5, dtype=torch.int64))
