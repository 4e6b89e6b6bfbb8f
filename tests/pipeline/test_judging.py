"""Scores are made where labels are: the same loss and gradients as with scores everywhere."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpiedge.comm.threads import alone
from mpiedge.model.activation import entrance
from mpiedge.model.load import load
from mpiedge.pipeline.judging import Answer, counted
from mpiedge.run.opening import Opened, open_run
from mpiedge.task.task import IGNORED
from mpiedge.task.token_scores import token_loss
from tests.models import save_tiny
from tests.runs import settings, write_requests

LABELS = torch.tensor([[5, IGNORED, 6, IGNORED], [IGNORED, IGNORED, 7, 8]])


class Tokens:
    """An objective with a label at some positions."""

    def judged(self, labels: Tensor) -> Tensor:
        return labels != IGNORED

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return token_loss(logits, labels)

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        raise AssertionError("only an evaluation observes")


class Rows(Tokens):
    """An objective with a label a row."""

    def judged(self, labels: Tensor) -> None:  # type: ignore[override]
        return None


def test_labels_that_count_stand_in_one_row() -> None:
    answer, (positions,) = counted(Tokens(), Answer(LABELS, 0.5))
    assert answer.labels.tolist() == [[5, 6, 7, 8]]
    assert answer.scale == 0.5
    assert torch.equal(positions, LABELS != IGNORED)


def test_a_label_a_row_changes_nothing() -> None:
    answer, positions = counted(Rows(), Answer(LABELS, 0.5))
    assert answer.labels is LABELS
    assert positions == ()


@pytest.fixture(params=["gpt2", "llama"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    model = save_tiny(request.param, tmp_path / "model", blocks=1)
    data = write_requests(tmp_path / "data", rows=8)
    task = {"name": "language", "text": ["text"]}
    return open_run(settings(model, data, task=task), alone(5.0))


@pytest.mark.parametrize("labels", [LABELS, torch.full((2, 4), IGNORED)])
def test_the_same_loss_and_gradients(labels: Tensor, opened: Opened) -> None:
    blueprint = opened.blueprint
    every = range(blueprint.num_layers)
    shard = load(blueprint, every, tuned=opened.tuned, seed=0).train(False)  # without dropout
    mask = torch.ones(2, 4, dtype=torch.long)
    tokens = torch.randint(5, 40, (2, 4), generator=torch.Generator().manual_seed(0))
    answer, positions = counted(Tokens(), Answer(labels, 1.0))

    def gradients(entries: dict[int, tuple[Tensor, ...]], truth: Tensor) -> tuple[Tensor, Tensor]:
        shard.zero_grad()
        logits = shard(entrance(mask), every, {0: (tokens,), **entries}).hidden
        loss = token_loss(logits, truth)
        torch.autograd.backward([loss])
        found = [p.grad.flatten() for p in shard.tuned_parameters().values() if p.grad is not None]
        return loss.detach(), torch.cat(found)

    few = gradients({every[-1]: positions}, answer.labels)
    all_ = gradients({}, labels)
    assert torch.allclose(few[0], all_[0], rtol=1e-5)
    assert torch.allclose(few[1], all_[1], rtol=1e-4, atol=1e-6)
