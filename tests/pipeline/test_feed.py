"""Examples as micro-batches: their order, short batches, and what each counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mpiedge.pipeline.feed import Feed, dealt, entries_of, shuffled
from mpiedge.pipeline.portion import MicroBatch
from mpiedge.task.task import Encoded, Inputs
from tests.models import save_tiny
from tests.pipeline.stages import compute, cut

LENGTHS = (5, 3, 7, 4, 6, 2, 8)


class Tokens:
    """As much of a task as a feed needs: one unit a token."""

    purpose, labels, notes = "classification", (), ()

    def collate(self, examples: Sequence[Encoded]) -> Inputs:
        rows = torch.tensor([example.tokens for example in examples])
        nothing = torch.zeros_like(rows)
        labels = torch.tensor([int(example.label) for example in examples])
        return Inputs(rows, torch.ones_like(rows), nothing, torch.empty(0), labels)

    def units(self, example: Encoded) -> int:
        return len(example.tokens)


def feed(count: int, bridge: int | None = None) -> Feed:
    examples = [Encoded((9 + i, 20 + i, 30 + i), label=i % 3) for i in range(count)]
    return Feed(Tokens(), examples, bridge)  # type: ignore[arg-type]


def test_each_epoch_has_every_example_once() -> None:
    order = shuffled(LENGTHS, batch_size=3, count=2, seed=0)
    epochs = [[i for k in range(e, e + 3) for part in order.batch(k) for i in part] for e in (0, 3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 2
    assert epochs[0] != epochs[1]


def test_every_batch_has_all_its_micro_batches_and_a_short_one_empty_ones() -> None:
    order = shuffled(LENGTHS, batch_size=3, count=2, seed=0)
    assert [[len(part) for part in order.batch(k)] for k in range(3)] == [[2, 1], [2, 1], [1, 0]]


def test_a_batch_is_the_same_whichever_was_asked_for_before() -> None:
    forth, back = (shuffled(LENGTHS, batch_size=3, count=2, seed=4) for _ in range(2))
    assert [forth.batch(k) for k in range(6)] == [back.batch(k) for k in range(5, -1, -1)][::-1]
    assert [shuffled(LENGTHS, 3, 2, seed=5).batch(k) for k in range(6)] != [
        forth.batch(k) for k in range(6)
    ]


def test_a_dealt_example_keeps_its_micro_batch() -> None:
    order = dealt(LENGTHS, batch_size=3, count=2, seed=0)
    places: dict[int, set[int]] = {}
    for k in range(12):
        for m, part in enumerate(order.batch(k)):
            for i in part:
                places.setdefault(i, set()).add(m)
    assert len(places) == 7
    assert all(len(found) == 1 for found in places.values())
    epochs = [[i for k in range(e, e + 3) for part in order.batch(k) for i in part] for e in (0, 3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 2
    assert epochs[0] != epochs[1]


def test_a_dealt_batch_larger_than_the_data_is_all_of_it() -> None:
    order = dealt(LENGTHS, batch_size=50, count=3, seed=0)
    assert [len(part) for part in order.batch(0)] == [3, 2, 2]
    assert sorted(i for part in order.batch(1) for i in part) == list(range(7))


def test_the_scales_of_a_batch_make_a_mean_over_its_units() -> None:
    batch = ((0, 1), (2,), ())
    made = [feed(3).micro_batch(batch, index) for index in range(3)]
    assert [each.scale for each in made] == [1 / 9, 1 / 9, 0.0]
    assert [each.labels.tolist() for each in made[:2]] == [[0, 1], [2]]


def test_tokens_enter_at_the_embedding_and_the_decoders_at_the_bridge() -> None:
    entries = feed(1).micro_batch(((0,),), 0).entries
    assert entries.keys() == {0}
    assert entries[0][0].tolist() == [[9, 20, 30]]
    inputs = Tokens().collate([Encoded((1, 2))])._replace(decoder_tokens=torch.tensor([[7]]))
    both = entries_of(inputs, bridge=5)
    assert both.keys() == {0, 5}
    assert both[5][0].tolist() == [[7]]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Dropout is drawn anew for each micro-batch, so it would tell the cuts apart.
    rates: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return save_tiny("bert", tmp_path_factory.mktemp("feed") / "bert", **rates)


def gradients(bert: Path, batch: tuple[tuple[int, ...], ...]) -> tuple[dict[str, Tensor], float]:
    """The gradients and the loss of one batch."""

    def source(number: int) -> MicroBatch:
        return feed(5).micro_batch(batch, number)

    (left,) = compute(bert, cut(range(4), micro_batches=len(batch)), source)
    return left.gradients, float(sum(left.heard.values.values()))


def test_an_empty_micro_batch_counts_exactly_nothing(bert: Path) -> None:
    full, loss = gradients(bert, ((0, 3), (1,)))
    padded, same = gradients(bert, ((0, 3), (1,), (), ()))
    assert loss == same
    assert all(torch.equal(full[name], padded[name]) for name in full)
    nothing, none = gradients(bert, ((),))
    assert none == 0.0
    assert nothing
    assert not any(gradient.any() for gradient in nothing.values())


def test_a_batch_has_the_same_gradient_however_it_is_cut(bert: Path) -> None:
    whole, loss = gradients(bert, ((0, 1, 2, 3, 4),))
    parts, same = gradients(bert, ((0, 1), (2, 3), (4,)))
    assert same == pytest.approx(loss, rel=1e-6)
    assert max(whole[name].abs().max() for name in whole) > 1e-4
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-4, atol=1e-7)
