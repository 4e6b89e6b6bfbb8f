import numpy as np
import pytest
import torch

from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.wire import INLINE, Decoded, Encoded, decode, encode, handed, memory_of

TAG = Tag(Kind.ACTIVATION, 3, 1)
DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def delivered(encoded: Encoded) -> Decoded:
    """What the receiver has once all bodies have come."""
    decoded = decode(encoded.head.copy())
    for empty, body in zip(decoded.bodies, encoded.bodies, strict=True):
        np.copyto(empty, body)
    return decoded


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [0, 1, 5, INLINE + 1])
def test_every_dtype_arrives_as_it_was(dtype: torch.dtype, count: int) -> None:
    tensor = (torch.arange(count) % 100).to(dtype)
    tag, tensors, _ = delivered(encode([tensor], TAG))
    assert tag == TAG
    assert tensors[0].dtype == dtype
    assert torch.equal(tensors[0], tensor)


def test_only_large_tensors_are_bodies() -> None:
    small, large = torch.zeros(INLINE, dtype=torch.uint8), torch.ones(INLINE + 1, dtype=torch.uint8)
    encoded = encode([small, large, small], TAG)
    assert [body.size for body in encoded.bodies] == [INLINE + 1]
    assert INLINE * 2 < encoded.head.size < INLINE * 2 + 300
    assert encoded.size() == encoded.head.size + INLINE + 1
    assert [t.sum().item() for t in delivered(encoded).tensors] == [0, INLINE + 1, 0]


def test_a_large_tensor_leaves_from_its_own_memory_and_arrives_in_its_own() -> None:
    tensor = torch.zeros(10_000)
    encoded = encode([tensor], TAG)
    assert encoded.bodies[0].ctypes.data == tensor.data_ptr()
    decoded = decode(encoded.head)
    assert decoded.bodies[0].ctypes.data == decoded.tensors[0].data_ptr()


def test_a_small_tensor_may_change_once_it_is_encoded() -> None:
    tensor = torch.ones(3)
    encoded = encode([tensor], TAG)
    tensor.zero_()
    assert delivered(encoded).tensors[0].tolist() == [1.0, 1.0, 1.0]


def test_the_order_of_memory_does_not_matter() -> None:
    tensor = torch.arange(40_000.0).reshape(200, 200).t()[::2]
    assert torch.equal(delivered(encode([tensor], TAG)).tensors[0], tensor)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 2, 3, 4)])
def test_shapes_arrive(shape: tuple[int, ...]) -> None:
    assert delivered(encode([torch.zeros(shape)], TAG)).tensors[0].shape == shape


def test_the_wish_for_a_gradient_arrives_on_a_leaf() -> None:
    sent = [torch.ones(2, requires_grad=True) * 2, torch.ones(2), torch.ones(9000).requires_grad_()]
    tensors = delivered(encode(sent, TAG)).tensors
    assert [t.requires_grad for t in tensors] == [True, False, True]
    assert all(t.is_leaf for t in tensors)


def test_several_heads_do_not_share_memory() -> None:
    encoded = encode([torch.ones(3)], TAG)
    first, second = decode(encoded.head).tensors[0], decode(encoded.head).tensors[0]
    first.zero_()
    assert second.sum().item() == 3


def test_a_message_to_oneself_is_cut_from_its_graph_but_not_copied() -> None:
    source = torch.ones(2, requires_grad=True)
    (received,) = handed([source * 2])
    (received * 3).sum().backward()
    assert received.grad is not None
    assert source.grad is None


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="not one on meta; call .cpu()"):
        memory_of(torch.empty(1, device="meta"))
    with pytest.raises(ValueError, match="cannot carry torch.complex64"):
        memory_of(torch.zeros(1, dtype=torch.complex64))
