"""One rank's part of a schedule: what is computed, what crosses the wire, and what does not."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mpiedge.comm.transport import Kind
from mpiedge.pipeline.portion import MicroBatch
from tests.models import save_tiny
from tests.pipeline.stages import Left, compute, cut, joined, rows

WHOLE = (range(4),)
TWO = (range(2), range(2, 4))
THREE = (range(1), range(1, 2), range(2, 4))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("engine") / "bert")


@pytest.fixture(scope="module")
def alone(bert: Path) -> Left:
    return compute(bert, cut(*WHOLE))[0]


@pytest.fixture(scope="module")
def three(bert: Path) -> list[Left]:
    return compute(bert, cut(*THREE))


def test_a_rank_alone_sends_nothing(alone: Left) -> None:
    assert alone.sent == {}
    assert len(alone.heard.values) == 4
    assert alone.heard.actions == 4 + 4 + 1
    assert alone.updates == 1
    assert alone.busy > 0


def test_an_activation_crosses_each_boundary_once_a_micro_batch(three: list[Left]) -> None:
    assert [left.messages(Kind.ACTIVATION) for left in three] == [{1: 4}, {2: 4}, {}]


def test_a_gradient_comes_back_down_to_the_lowest_trainable_stage(three: list[Left]) -> None:
    # The embedding on rank 0 is frozen: no gradient is owed to it.
    assert [left.messages(Kind.GRADIENT) for left in three] == [{}, {}, {1: 4}]
    assert [left.heard.actions for left in three] == [4, 9, 9]
    assert [left.updates for left in three] == [0, 1, 1]


@pytest.mark.parametrize(
    ("trainable", "gradients"),
    [((1, 2, 3), [{}, {0: 4}]), ((2, 3), [{}, {}]), ((3,), [{}, {}]), ((1,), [{}, {0: 4}])],
)
def test_backward_ends_early_where_everything_below_is_frozen(
    bert: Path, trainable: tuple[int, ...], gradients: list[dict[int, int]]
) -> None:
    ranks = compute(bert, cut(*TWO, trainable=trainable))
    assert [left.messages(Kind.GRADIENT) for left in ranks] == gradients
    assert bool(ranks[0].gradients) is (1 in trainable)
    assert any(gradient.any() for gradient in joined(ranks).values())


def test_labels_go_to_the_last_rank_only(three: list[Left]) -> None:
    assert [left.messages(Kind.LABELS) for left in three] == [{2: 4}, {}, {}]
    assert [left.heard.values.keys() for left in three] == [set(), set(), {0, 1, 2, 3}]


@pytest.mark.parametrize("parts", [TWO, THREE])
def test_losses_and_gradients_are_the_whole_models(
    bert: Path, alone: Left, parts: tuple[range, ...]
) -> None:
    ranks = compute(bert, cut(*parts))
    assert ranks[-1].heard.values == alone.heard.values
    gradients = joined(ranks)
    assert gradients.keys() == alone.gradients.keys()
    assert all(torch.equal(gradients[name], alone.gradients[name]) for name in gradients)
    assert sum(bool(gradient.any()) for gradient in gradients.values()) > 4


def test_a_decoders_tokens_go_straight_to_the_bridge(tmp_path: Path) -> None:
    t5 = save_tiny("t5", tmp_path / "t5", blocks=1)

    def source(number: int) -> MicroBatch:
        batch = rows(number)
        # T5 finds a row's class at its end token.
        tokens = torch.cat([batch.entries[0][0], torch.ones(2, 1, dtype=torch.int64)], dim=1)
        entries = {0: (tokens, torch.zeros_like(tokens)), 2: (tokens,)}
        return batch._replace(mask=torch.ones_like(tokens), entries=entries)

    ranks = compute(t5, cut(range(1), range(1, 3), range(3, 6)), source)
    assert [left.messages(Kind.ENTRY) for left in ranks] == [{1: 4}, {}, {}]
    alone = compute(t5, cut(range(6)), source)[0]
    assert ranks[-1].heard.values == alone.heard.values


def test_nothing_is_trained_where_the_plan_has_no_trainers(bert: Path) -> None:
    frozen = compute(bert, cut(*TWO).frozen())
    assert [left.messages(Kind.GRADIENT) for left in frozen] == [{}, {}]
    assert [left.heard.actions for left in frozen] == [4, 4]
    assert joined(frozen) == {}
    assert not any(left.training for left in frozen)
    observed = frozen[1].heard.values[0]
    assert observed.shape == (2, 4)  # the logits and the label of each row
    assert not observed.requires_grad


def test_dropout_is_drawn_by_seed_number_and_layer(tmp_path: Path) -> None:
    rates: dict[str, Any] = {"hidden_dropout_prob": 0.4, "attention_probs_dropout_prob": 0.4}
    dropping = save_tiny("bert", tmp_path / "bert", **rates)
    whole, other = compute(dropping, cut(*WHOLE))[0], compute(dropping, cut(*WHOLE), seed=1)[0]
    ranks = compute(dropping, cut(*THREE))
    assert ranks[-1].heard.values == whole.heard.values
    assert all(other.heard.values[m] != whole.heard.values[m] for m in range(4))
    later = compute(dropping, cut(*WHOLE), lambda number: rows(number - 4), first=4)[0]
    assert all(later.heard.values[m + 4] != whole.heard.values[m] for m in range(4))


def test_dropout_is_off_in_an_evaluation(tmp_path: Path, bert: Path) -> None:
    dropping = save_tiny("bert", tmp_path / "bert", hidden_dropout_prob=0.4)
    plain, dropped = (compute(folder, cut(*WHOLE).frozen())[0] for folder in (bert, dropping))
    assert torch.equal(plain.heard.values[0], dropped.heard.values[0])
