import math

import pytest
import torch

from mpiedge.task.task import IGNORED
from mpiedge.task.token_scores import observe_tokens, score_tokens, token_loss

LABELS = torch.tensor([[1, 2, IGNORED], [0, IGNORED, IGNORED], [IGNORED] * 3])


def logits_of(tokens: list[list[int]]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(tokens), 3).float() * 4


LOGITS = logits_of([[1, 2, 0], [2, 0, 0], [0, 0, 0]])


def test_observed_of_each_row() -> None:
    observed = observe_tokens(LOGITS, LABELS)
    assert observed.dtype == torch.float64
    assert observed[:, 1:].tolist() == [[2, 2, 1], [1, 0, 0], [0, 0, 1]]
    assert observed[:, 0].sum().item() == pytest.approx(token_loss(LOGITS, LABELS).item())


def test_a_row_without_labels_counts_nowhere() -> None:
    found = score_tokens(observe_tokens(LOGITS, LABELS))
    assert found["token_accuracy"] == pytest.approx(2 / 3)
    assert found["exact_match"] == 0.5
    assert found == score_tokens(observe_tokens(LOGITS[:2], LABELS[:2]))


def test_perplexity_of_an_even_guess_is_the_size_of_the_vocabulary() -> None:
    found = score_tokens(observe_tokens(torch.zeros(2, 3, 3), LABELS[:2]))
    assert found["perplexity"] == pytest.approx(3.0)
    assert found["loss"] == pytest.approx(math.log(3))


def test_a_hopeless_loss_has_a_finite_perplexity() -> None:
    observed = torch.tensor([[1e6, 1.0, 0.0, 0.0]])
    assert math.isfinite(score_tokens(observed)["perplexity"])


def test_the_loss_is_float32_and_zero_without_labels() -> None:
    assert token_loss(LOGITS.bfloat16(), LABELS).dtype == torch.float32
    assert token_loss(LOGITS[2:], LABELS[2:]).item() == 0.0


def test_exact_match_is_what_greedy_decoding_gives() -> None:
    """Against a model whose next token depends on all it has been given."""
    torch.manual_seed(0)
    table = torch.randn(200, 5)

    def next_logits(given: list[int]) -> torch.Tensor:
        return table[sum((i + 1) * (t + 1) for i, t in enumerate(given)) % 200]

    def greedy(length: int) -> list[int]:
        said: list[int] = []
        while len(said) < length:
            said.append(int(next_logits(said).argmax()))
        return said

    right = greedy(6)
    for wrong_at in (None, 0, 3, 5):
        target = list(right)
        if wrong_at is not None:
            target[wrong_at] = (target[wrong_at] + 1) % 5
        forced = torch.stack([next_logits(target[:t]) for t in range(6)])[None]
        observed = observe_tokens(forced, torch.tensor([target]))
        assert bool(observed[0, 3]) == (greedy(6) == target) == (wrong_at is None)
