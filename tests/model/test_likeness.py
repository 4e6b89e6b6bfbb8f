"""How like a token is to another one of its row."""

import pytest
import torch

from mpiedge.model.likeness import likeness


def rows(tokens: int = 6) -> torch.Tensor:
    """One row of random tokens, the fifth as the second."""
    draw = torch.Generator().manual_seed(0)
    row = torch.randn(1, tokens, 16, generator=draw) + 3.0
    row[:, 4] = row[:, 1]
    return row


def plainly(row: torch.Tensor, causal: bool) -> list[float]:
    """The same, token by token and pair by pair."""
    found = []
    for t in range(len(row)):
        others = range(t) if causal else [j for j in range(len(row)) if j != t]
        mean = row[: t + 1].mean(0) if causal else row.mean(0)
        cosines = [torch.cosine_similarity(row[t] - mean, row[j] - mean, dim=0) for j in others]
        found.append(max((one.item() for one in cosines), default=0.0))
    return found


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_largest_cosine_about_the_mean(causal: bool) -> None:
    alike = likeness(rows(), torch.ones(1, 6), causal)
    assert alike.flatten().tolist() == pytest.approx(plainly(rows()[0], causal), abs=1e-4)
    assert alike[0, 4].item() == pytest.approx(1, abs=1e-4)
    assert alike[0, 5].item() < 0.9


def test_a_token_of_a_decoder_knows_nothing_of_those_after_it() -> None:
    alike = likeness(rows(), torch.ones(1, 6), causal=True)
    assert alike[0, 0] == 0
    torch.testing.assert_close(
        alike[:, :4], likeness(rows()[:, :4], torch.ones(1, 4), causal=True), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing_on_either_side(causal: bool) -> None:
    alone = likeness(rows(), torch.ones(1, 6), causal)
    for place, mask in ((slice(2, 8), [0, 0, *[1] * 6, 0]), (slice(0, 6), [*[1] * 6, 0])):
        padded = torch.randn(1, len(mask), 16)
        padded[:, place] = rows()
        found = likeness(padded, torch.tensor([mask]), causal)[:, place]
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_a_single_token_is_like_nothing_and_zeros_do_no_harm(causal: bool) -> None:
    assert likeness(torch.randn(1, 1, 8), torch.ones(1, 1), causal).item() == 0
    assert torch.isfinite(likeness(torch.zeros(2, 3, 8), torch.ones(2, 3), causal)).all()
    assert torch.isfinite(likeness(torch.randn(2, 3, 8), torch.zeros(2, 3), causal)).all()


def test_no_gradient_goes_through_it() -> None:
    hidden = torch.randn(1, 3, 8, requires_grad=True)
    assert not likeness(hidden, torch.ones(1, 3), causal=False).requires_grad
