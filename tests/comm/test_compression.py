"""What crosses a link narrow arrives wide, and all else as it was."""

import pytest
import torch
from torch import Tensor

from mpiedge.comm.compression import compressed, narrowed, widened
from mpiedge.comm.ledger import by_kind
from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.comm.transport import Kind, Tag

HIDDEN = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("how", "error"), [("bfloat16", 2**-8), ("float16", 2**-11), ("int8", 1 / 254)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_error_is_that_of_the_format(how: str, error: float, dtype: torch.dtype) -> None:
    given = HIDDEN.to(dtype).requires_grad_()
    (found,) = widened(narrowed(given, how))
    assert found.dtype == dtype
    assert found.requires_grad
    largest = HIDDEN.abs().amax(-1, keepdim=True)
    # Of int8 the step is a part of the token's largest value, of the others of the value itself.
    scale = largest if how == "int8" else HIDDEN.abs()
    rounding = 2**-8 if dtype is torch.bfloat16 else 1e-6
    apart = (found.detach().float() - HIDDEN).abs()
    assert bool(
        (
            apart <= (1.1 * error + 2 * rounding) * (largest if rounding > 1e-4 else scale) + 1e-6
        ).all()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_a_token_its_largest_values_are_left(dtype: torch.dtype) -> None:
    given = HIDDEN.to(dtype).requires_grad_()
    places, values, _ = narrowed(given, "topk", 0.25)
    assert places.shape == values.shape == (3, 5, 4)
    (found,) = widened(narrowed(given, "topk", 0.25))
    assert found.dtype == dtype
    assert found.requires_grad
    left = found.detach() != 0
    assert torch.equal(found.detach()[left], given.detach()[left])
    least = given.detach().abs().where(left, torch.inf).amin(-1)
    most = given.detach().abs().where(~left, 0).amax(-1)
    assert bool((left.sum(-1) == 4).all())
    assert bool((least >= most).all())
    (whole,) = widened(narrowed(given, "topk", 1.0))
    assert torch.equal(whole.detach(), given.detach())
    assert narrowed(given, "topk", 0.01)[1].shape == (3, 5, 1)


def test_a_token_of_zeros_stays_so() -> None:
    (found,) = widened(narrowed(torch.zeros(1, 2, 4), "int8"))
    assert torch.equal(found, torch.zeros(1, 2, 4))


def test_masks_and_what_is_empty_stay_as_they_are() -> None:
    for tensor in (torch.ones(3, 5, dtype=torch.int64), torch.empty(0)):
        for how in ("bfloat16", "int8", "topk"):
            (same,) = narrowed(tensor, how)
            assert same is tensor


def test_only_activations_and_gradients_to_others_are_narrow() -> None:
    mask = torch.ones(3, 5, dtype=torch.int64)

    def body(transport: ThreadTransport) -> tuple[list[tuple[Tensor, ...]], int]:
        narrow = compressed(transport, "int8")
        found = []
        for kind in (Kind.ACTIVATION, Kind.GRADIENT, Kind.WEIGHTS):
            for dest in (0, 1):
                if transport.rank == 0:
                    narrow.send([mask, HIDDEN], dest, Tag(kind))
                if transport.rank == dest:
                    found.append(narrow.recv(0, Tag(kind)))
        sent = by_kind(transport.ledger.sent())
        transport.close()
        return found, sent["activation"].bytes if "activation" in sent else 0

    (own, size), (others, _) = run_ranks(2, body)
    assert all(torch.equal(received[1], HIDDEN) for received in own)
    assert [torch.equal(received[1], HIDDEN) for received in others] == [False, False, True]
    assert all(torch.equal(received[0], mask) for received in others)
    torch.testing.assert_close(others[0][1], HIDDEN, atol=0.02, rtol=0)
    assert size < 0.5 * 4 * HIDDEN.numel() + 8 * mask.numel() + 200


def test_none_is_the_transport_itself() -> None:
    def body(transport: ThreadTransport) -> bool:
        return compressed(transport, "none") is transport

    assert run_ranks(1, body) == [True]
