"""How like a token is to another one of its row."""

import pytest
import torch

from mpiedge.model.likeness import likeness


def rows() -> torch.Tensor:
    """One row: tokens 0 and 3 alike, 1 and 2 opposite, 4 padding that is like 1."""
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(16, generator=draw) for _ in range(2))
    a, b = a - a.mean(), b - b.mean()
    b = b - (a @ b) / (a @ a) * a
    return torch.stack([a, b, -b, 3 * a + 5, b])[None]


MASK = torch.tensor([[1, 1, 1, 1, 0]])


def test_a_token_found_again_is_as_like_as_can_be() -> None:
    alike = likeness(rows(), MASK, causal=False)[0, :, 0]
    assert alike[[0, 3]].tolist() == pytest.approx([1, 1], abs=1e-5)
    # Its opposite is as unlike as can be, but there are others, at right angles.
    assert alike[[1, 2]].tolist() == pytest.approx([0, 0], abs=1e-5)


def test_a_token_of_a_decoder_sees_only_those_before() -> None:
    alike = likeness(rows(), MASK, causal=True)[0, :4, 0]
    assert alike[0] == 0
    assert alike[3] == pytest.approx(1, abs=1e-5)
    # What comes after changes nothing.
    before = likeness(rows()[:, :3], MASK[:, :3], causal=True)[0, :, 0]
    torch.testing.assert_close(alike[:3], before, atol=1e-6, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing_on_either_side(causal: bool) -> None:
    row = rows()[:, :4]
    alone = likeness(row, torch.ones(1, 4), causal)
    for place, mask in ((slice(2, 6), [0, 0, 1, 1, 1, 1, 0]), (slice(0, 4), [1, 1, 1, 1, 0])):
        padded = torch.randn(1, len(mask), 16)
        padded[:, place] = row
        found = likeness(padded, torch.tensor([mask]), causal)[:, place]
        torch.testing.assert_close(found, alone)


def test_a_single_token_is_like_nothing_and_zeros_do_no_harm() -> None:
    assert likeness(torch.randn(1, 1, 8), torch.ones(1, 1), causal=False).item() == 0
    assert torch.isfinite(likeness(torch.zeros(2, 3, 8), torch.ones(2, 3), causal=False)).all()


def test_no_gradient_goes_through_it() -> None:
    hidden = torch.randn(1, 3, 8, requires_grad=True)
    assert not likeness(hidden, torch.ones(1, 3), causal=False).requires_grad
