"""Counts of operations, launches, weights and kept numbers, for the parts that blocks are made of.

Our design, from what PyTorch does: a product takes two operations a weight and token forward, the
same again for the gradient of its input and, if it is tuned, once more for that of its weights.
Kept for the backward pass is what each operation saves: the input of a tuned product, queries,
keys and values, the scores after softmax and after dropout, and masks of a byte a number.  A
*launch* is one operation that the processor hands to the accelerator; views are none.
"""

from dataclasses import astuple, dataclass

from mpiedge.plan.shapes import Shape

_MASK = 0.25  # of a number: a byte


@dataclass(frozen=True)
class Count:
    """What a part takes for one example; counts of parts that follow each other add up."""

    forward: float = 0.0  # floating-point operations
    backward: float = 0.0
    forward_launches: int = 0  # whatever the number of examples
    backward_launches: int = 0
    weights: int = 0  # numbers
    tuned: int = 0  # numbers
    kept: float = 0.0  # numbers, between forward and backward pass

    def __add__(self, other: "Count") -> "Count":
        return Count(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Tuning:
    """What of a block is tuned, or is added to it."""

    weights: bool = False
    norms: bool = False
    bottleneck: int = 0  # width; 0: none
    rank: int = 0  # of LoRA on queries and values; 0: none


def product(tokens: int, inputs: int, outputs: int, *, tuned: bool, biased: bool = False) -> Count:
    """A matrix and its bias; what it keeps, its input, is counted where the input is made."""
    once, weights = 2.0 * tokens * inputs * outputs, inputs * outputs + outputs * biased
    return Count(
        forward=once,
        backward=once * (1 + tuned),
        forward_launches=1,
        backward_launches=1 + tuned,
        weights=weights,
        tuned=weights * tuned,
    )


def norm(shape: Shape, tokens: int, tuned: bool) -> Count:
    """A norm over the width; if it is tuned it keeps its input a second time, normalised."""
    weights, launches = shape.width * (1 + shape.biased), 1 if shape.fused_norms else 6
    again = tuned and not shape.fused_norms
    return Count(
        forward_launches=launches,
        backward_launches=launches + tuned,
        weights=weights,
        tuned=weights * tuned,
        kept=tokens * shape.width * (1 + again),
    )


def attention(shape: Shape, queries: int, keys: int, tuning: Tuning) -> Count:
    """Attention of ``queries`` tokens to ``keys`` tokens, with norm, dropout and residual.

    Keys of other tokens than the queries are made from what the encoder gave, which is kept there.
    """
    width, scores = shape.width, shape.heads * queries * keys
    products = 4.0 * queries * keys * width
    rest = Count(
        forward=products,
        backward=2 * products,
        forward_launches=11,  # two products, bias, softmax, four copies, two dropouts, residual
        backward_launches=13,
        kept=(queries + 2 * keys) * width
        + (2 + _MASK) * scores
        + _MASK * queries * width
        + 2 * queries * width * tuning.weights,
    )
    return (
        norm(shape, queries, tuning.weights or tuning.norms)
        + _square(shape, queries, tuning)
        + _square(shape, queries, tuning)
        + _square(shape, keys, tuning)
        + _square(shape, keys, tuning)
        + rest
        + _lora(width, queries, tuning.rank)
        + _lora(width, keys, tuning.rank)
    )


def feed_forward(shape: Shape, tokens: int, tuning: Tuning) -> Count:
    """Two products with an activation between them, with norm, dropout and residual."""
    width, inner, tuned = shape.width, shape.inner, tuning.weights
    rest = Count(
        forward_launches=4,  # activation, two dropouts, residual
        backward_launches=4,
        kept=tokens * ((1 + _MASK + tuned) * inner + (_MASK + tuned) * width),
    )
    return (
        norm(shape, tokens, tuned or tuning.norms)
        + product(tokens, width, inner, tuned=tuned, biased=shape.biased)
        + product(tokens, inner, width, tuned=tuned, biased=shape.biased)
        + rest
    )


def bottleneck(width: int, tokens: int, size: int) -> Count:
    """A tuned bottleneck with an activation and a residual; nothing for a size of 0."""
    if not size:
        return Count()
    kept = Count(forward_launches=2, backward_launches=2, kept=tokens * (width + 2 * size))
    down = product(tokens, width, size, tuned=True, biased=True)
    return down + product(tokens, size, width, tuned=True, biased=True) + kept


def _square(shape: Shape, tokens: int, tuning: Tuning) -> Count:
    width = shape.width
    return product(tokens, width, width, tuned=tuning.weights, biased=shape.biased)


def _lora(width: int, tokens: int, rank: int) -> Count:
    """Dropout, two small products, a factor and a sum, beside a frozen product."""
    if not rank:
        return Count()
    kept = tokens * ((1 + _MASK) * width + rank)
    rest = Count(forward_launches=3, backward_launches=3, kept=kept)
    down = product(tokens, width, rank, tuned=True)
    return down + product(tokens, rank, width, tuned=True) + rest
