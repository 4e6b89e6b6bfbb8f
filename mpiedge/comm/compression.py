"""Hidden states and gradients in a narrower number format while they cross a link.

A wrapper around a transport, so that whoever sends and receives knows nothing of it: a tensor
[rows, tokens, width] leaves as a narrow one and, behind it, what is needed to widen it again.

    bfloat16, float16   rounded             | empty, of the first dtype
    int8                value / scale       | scale [rows, tokens, 1], the largest of a token / 127
    topk                places, as int16    | the values there | the width; all others are zeros

Our own addition; with one scale a token a single large value spoils its own token only.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from mpiedge.comm.circle import Circle
from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.transport import Transport

_KINDS = frozenset({Kind.ACTIVATION, Kind.GRADIENT})
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_LEVELS = 127
_DIMS = 3  # of hidden states and their gradients; masks have fewer


def compressed(transport: Transport, how: str, keep: float = 1.0) -> Transport:
    """The transport itself, or one that compresses as the setting ``comm.compression`` says.

    ``keep`` is the part of the values that topk leaves.
    """
    return transport if how == "none" else Compressing(transport, how, keep)


class Compressing:
    """A transport that narrows activations and gradients; messages to oneself stay as they are."""

    def __init__(self, transport: Transport, how: str, keep: float = 1.0) -> None:
        self._transport, self._how, self._keep = transport, how, keep
        self.rank, self.size, self.ledger = transport.rank, transport.size, transport.ledger
        self.telemetry = transport.telemetry

    def send(self, tensors: Sequence[Tensor], dest: int, tag: Tag) -> None:
        """Start sending, narrowed where it is a hidden state or gradient."""
        if tag.kind in _KINDS and dest != self.rank:
            tensors = [
                part for tensor in tensors for part in narrowed(tensor, self._how, self._keep)
            ]
        self._transport.send(tensors, dest, tag)

    def recv(self, source: int, tag: Tag) -> tuple[Tensor, ...]:
        """Wait for a message; it is widened again."""
        tensors = self._transport.recv(source, tag)
        if tag.kind in _KINDS and source != self.rank:
            return tuple(widened(tensors))
        return tensors

    def poll(self, source: int, tag: Tag) -> tuple[Tensor, ...] | None:
        """A message that is here already."""
        tensors = self._transport.poll(source, tag)
        if tensors is None or tag.kind not in _KINDS or source == self.rank:
            return tensors
        return tuple(widened(tensors))

    def flush(self) -> None:
        """As the transport."""
        self._transport.flush()

    def all_reduce(self, tensor: Tensor, ranks: Sequence[int]) -> None:
        """As the transport."""
        self._transport.all_reduce(tensor, ranks)

    def sum_later(self, tensor: Tensor, ranks: Sequence[int]) -> Callable[[], None]:
        """As the transport."""
        return self._transport.sum_later(tensor, ranks)

    def broadcast(self, tensor: Tensor, root: int, ranks: Sequence[int]) -> None:
        """As the transport."""
        self._transport.broadcast(tensor, root, ranks)

    def circle(self, root: int, ranks: Sequence[int]) -> Circle:
        """As the transport: bytes stay as they are."""
        return self._transport.circle(root, ranks)

    def close(self) -> None:
        """As the transport."""
        self._transport.close()


def narrowed(tensor: Tensor, how: str, keep: float = 1.0) -> list[Tensor]:
    """A tensor as it crosses: unchanged, or narrow with what widens it."""
    if tensor.dim() != _DIMS or not tensor.is_floating_point():
        return [tensor]
    plain = tensor.detach()
    if how == "topk":
        return _largest(plain, keep, tensor.requires_grad)
    if how == "int8":
        scale = plain.float().abs().amax(-1, keepdim=True) / _LEVELS
        levels = (plain.float() / scale.clamp_min(torch.finfo(torch.float32).tiny)).round()
        narrow, beside = levels.to(torch.int8), scale.to(plain.dtype)
    else:
        narrow, beside = plain.to(_DTYPES[how]), plain.new_empty(0)
    return [narrow, beside.requires_grad_(tensor.requires_grad)]


def widened(tensors: Sequence[Tensor]) -> Iterator[Tensor]:
    """The tensors that were ``narrowed``, in their first dtype."""
    parts = iter(tensors)
    for tensor in parts:
        if tensor.dim() != _DIMS:
            yield tensor
            continue
        beside = next(parts)
        if tensor.dtype == torch.int16:
            wide = _spread(tensor, beside.detach(), int(next(parts)))
        elif tensor.dtype == torch.int8:
            wide = tensor.to(beside.dtype) * beside.detach()
        else:
            wide = tensor.to(beside.dtype)
        yield wide.detach().requires_grad_(beside.requires_grad)


def _largest(plain: Tensor, keep: float, wants_gradient: bool) -> list[Tensor]:
    """Of each token the largest values, at least one, and where they stood."""
    width = plain.shape[-1]
    places = plain.float().abs().topk(max(1, round(keep * width)), dim=-1).indices.sort(-1).values
    values = plain.gather(-1, places).requires_grad_(wants_gradient)
    return [places.to(torch.int16), values, torch.tensor([width])]


def _spread(places: Tensor, values: Tensor, width: int) -> Tensor:
    wide = values.new_zeros(*values.shape[:-1], width)
    return wide.scatter_(-1, places.long(), values)
