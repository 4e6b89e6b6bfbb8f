"""What the rest of mpiedge knows of a task: examples in, tensors out, a loss and a score.

Apart from the tasks themselves so that the engine depends on a shape and not on a data set.  A
*unit* is what the loss is summed over (a row, or a label token); the engine divides by the units
of a whole batch, so a sum over micro-batches of any sizes is the sum over the batch.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from mpiedge.task.columns import Columns

Split = Literal["train", "validation"]

IGNORED = -100
"""The label id of a position that neither loss nor score looks at."""


class Encoded(NamedTuple):
    """One tokenised example, in as little memory as plain Python allows."""

    tokens: tuple[int, ...]
    types: tuple[int, ...] = ()  # token type ids; empty where all are zero
    target: tuple[int, ...] = ()  # language: one label a token; seq2seq: the output's tokens
    label: float = IGNORED  # classification: the label's id; regression: the number

    @property
    def length(self) -> int:
        """How much work the example is: what batches are grouped by."""
        return len(self.tokens) + len(self.target)


class Inputs(NamedTuple):
    """A micro-batch as tensors; all int64, but the labels of a regression, which are float32."""

    tokens: Tensor  # [rows, seq]
    mask: Tensor  # [rows, seq]: 1 real, 0 padding
    types: Tensor  # [rows, seq]
    decoder_tokens: Tensor  # [rows, target], or empty
    labels: Tensor  # [rows], or one label a logit row: [rows, seq] or [rows, target]


class Task(Protocol):
    """A data set and what is to be learnt from it."""

    @property
    def purpose(self) -> str:
        """What the model's head must be: classification, regression, language or seq2seq."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids; empty unless the task is a classification."""

    @property
    def columns(self) -> Columns:
        """Where the text and the label stand in the training file, which is read for it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the data that a user should be told, a line each."""

    def examples(self, split: Split) -> Sequence[Encoded]:
        """All examples of a split, read and tokenised on the first call."""

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """Texts, or pairs of texts, without labels: what a prediction is made from."""

    def collate(self, examples: Sequence[Encoded]) -> Inputs:
        """Examples side by side, padded to the longest of them."""

    def units(self, example: Encoded) -> int:
        """How many terms of the loss an example adds."""

    def judged(self, labels: Tensor) -> Tensor | None:
        """Which positions have a label, [rows, length]; None where a row has one label."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss in float32, summed over the units."""

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What the score needs to know of each row: float64 [rows, k], a few numbers each."""

    def score(self, observed: Tensor) -> dict[str, float]:
        """The metrics over all rows of a split; the first one is what the task is judged by."""

    def describe(self, logits: Tensor) -> dict[str, str | float]:
        """What one row of logits says, in words."""


# Apart from Task and its properties: Python 3.10 evaluates those of a protocol in isinstance.
@runtime_checkable
class Generative(Protocol):
    """What a task adds whose model answers with text, token after token."""

    @property
    def end(self) -> int | None:
        """The token that ends an answer."""

    def continued(self, example: Encoded, tokens: tuple[int, ...]) -> Encoded:
        """An example with the ``tokens`` answered so far, so that the last logits say the next."""

    def decoded(self, tokens: tuple[int, ...]) -> str:
        """An answer's tokens as text."""
