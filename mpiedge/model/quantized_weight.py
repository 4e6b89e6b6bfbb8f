"""A frozen weight that is kept in few bits and looks like the tensor it stands for.

It has that tensor's shape, number format and name, so whatever wraps, names or counts weights
(PEFT, checkpoints, the cutting into layers) needs to know nothing of it.  Its numbers are made when
a layer is applied and dropped at once: neither the forward nor the backward pass keeps them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils import _pytree as pytree

from mpiedge.model.block_codec import Codes, Format, encode

_WHOLE = 1 << 22  # numbers of a weight that are made at once, at most: 16 MiB in float32
_PIECE = 1 << 20  # numbers of a larger one that are made at a time
_SHARED = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
_SAME = (*_SHARED, torch.ops.aten.clone.default)


class QuantizedWeight(Tensor):
    """A matrix in few bits; layers take it as a weight, anything else gets its plain numbers.

    It cannot be written to.
    """

    codes: Codes

    @staticmethod
    def __new__(cls, codes: Codes, dtype: torch.dtype) -> "QuantizedWeight":
        """A weight of the number format ``dtype`` with these codes."""
        made: QuantizedWeight = Tensor._make_wrapper_subclass(
            cls, (len(codes.codes), codes.columns), dtype=dtype, device=codes.codes.device
        )
        made.codes = codes
        return made

    def dense(self, rows: slice = slice(None)) -> Tensor:
        """The numbers [rows, columns], made anew; or those of some rows."""
        return self.codes.part(rows).decoded(self.dtype)

    def pieces(self) -> Iterator[slice]:
        """The rows, so few at a time that their numbers do not count as memory."""
        rows, columns = self.shape
        step = max(1, _PIECE // max(1, columns))
        return (slice(first, first + step) for first in range(0, rows, step))

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Apply a layer to its input, or leave the function to what the class does otherwise."""
        with torch._C.DisableTorchFunctionSubclass():
            return _LAYERS.get(func, func)(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Any operation that is no layer's: on the plain numbers."""
        kwargs = kwargs or {}
        if func in _SAME and isinstance(args[0], cls):
            return cls(args[0].codes, args[0].dtype)
        if func._schema.is_mutable:
            raise TypeError(f"{func}: a quantised weight is frozen")
        shapes_only = kwargs.get("device") == torch.device("meta")
        args, kwargs = pytree.tree_map_only(
            cls, _emptied if shapes_only else cls.dense, (args, kwargs)
        )
        return func(*args, **kwargs)


def stored_bytes(weight: Tensor) -> int:
    """What a weight takes in memory; one in few bits looks larger than it is."""
    return weight.codes.nbytes if isinstance(weight, QuantizedWeight) else weight.nbytes


def quantized(values: Tensor, form: Format, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A matrix of numbers as a weight in few bits, to be computed with in ``dtype``."""
    return QuantizedWeight(encode(values, form).to(device), dtype)


class _Product(torch.autograd.Function):
    """A layer's product with its weight, of which only the codes wait for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: QuantizedWeight, bias: Tensor | None, transposed: bool
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.transposed = transposed
        if not transposed:
            return _product(x, weight, bias)
        return x @ weight.dense() if bias is None else torch.addmm(bias, x, weight.dense())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        back = _back(gradient, weight, ctx.transposed) if ctx.needs_input_grad[0] else None
        bias = gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None
        return back, None, bias, None


def _product(x: Tensor, weight: QuantizedWeight, bias: Tensor | None) -> Tensor:
    """What a linear layer gives; an output layer of all words is made in pieces."""
    if weight.numel() <= _WHOLE:
        return functional.linear(x, weight.dense(), bias)
    out = x.new_empty(*x.shape[:-1], len(weight))
    for rows in weight.pieces():
        out[..., rows] = functional.linear(
            x, weight.dense(rows), None if bias is None else bias[rows]
        )
    return out


def _back(gradient: Tensor, weight: QuantizedWeight, transposed: bool) -> Tensor:
    """The gradient of a layer's input."""
    if transposed:
        return gradient @ weight.dense().t()
    if weight.numel() <= _WHOLE:
        return gradient @ weight.dense()
    return sum(
        (gradient[..., rows] @ weight.dense(rows) for rows in weight.pieces()),
        start=gradient.new_zeros(*gradient.shape[:-1], weight.shape[1]),
    )


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not isinstance(weight, QuantizedWeight):
        return functional.linear(input, weight, bias)
    return _Product.apply(input, weight, bias, False)  # type: ignore[no-untyped-call]


def _addmm(input: Tensor, mat1: Tensor, mat2: Tensor, **more: Any) -> Any:
    """What GPT-2's Conv1D calls: its weight is [in, out]."""
    if more or not isinstance(mat2, QuantizedWeight):
        return torch.addmm(input, mat1, mat2, **more)
    return _Product.apply(mat1, mat2, input, True)  # type: ignore[no-untyped-call]


def _embedding(input: Tensor, weight: Tensor, *rest: Any, **more: Any) -> Tensor:
    """Only the rows that are looked up are decoded."""
    if not isinstance(weight, QuantizedWeight):
        return functional.embedding(input, weight, *rest, **more)
    rows = weight.codes.rows(input.flatten())
    return rows.decoded(weight.dtype).view(*input.shape, -1)


def _emptied(weight: Tensor) -> Tensor:
    return torch.empty(weight.shape, dtype=weight.dtype, device="meta")


_LAYERS: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.linear: _linear,
    functional.embedding: _embedding,
    torch.addmm: _addmm,
}
