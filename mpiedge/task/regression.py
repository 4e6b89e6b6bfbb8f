"""Text, or a pair of texts, to one number."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mpiedge.task.columns import Columns, labelled_columns, texts_of
from mpiedge.task.corpus import Corpus, Examples
from mpiedge.task.labels import numbers
from mpiedge.task.metrics import Metric
from mpiedge.task.table import Table
from mpiedge.task.task import Encoded, Inputs, Split
from mpiedge.task.text_input import TextInput


@dataclass(frozen=True)
class Regression:
    """The head has one logit, which is the number; the loss is the squared error."""

    corpus: Corpus
    text_input: TextInput
    metric: Metric

    @property
    def purpose(self) -> str:
        """The head: one logit."""
        return "regression"

    @property
    def labels(self) -> tuple[str, ...]:
        """None: numbers have no label set."""
        return ()

    @property
    def columns(self) -> Columns:
        """Where the text and the label stand."""
        return labelled_columns(self.corpus.labelled, self.corpus.settings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the data."""
        return self.corpus.notes

    def examples(self, split: Split) -> Sequence[Encoded]:
        """All examples of a split."""
        return self._examples.of(split)

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """Texts without labels."""
        return self.text_input.encode(texts)

    def collate(self, examples: Sequence[Encoded]) -> Inputs:
        """Rows with one number each."""
        labels = torch.tensor([example.label for example in examples], dtype=torch.float32)
        return self.text_input.collate(examples, labels)

    def units(self, example: Encoded) -> int:
        """A row is one term of the loss."""
        return 1

    def judged(self, labels: Tensor) -> None:
        """Every row has one label."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Squared error, summed over the rows."""
        return self._errors(logits, labels).sum()

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of each row: the number found, the right one, the loss."""
        found = logits.squeeze(-1).double()
        errors = self._errors(logits, labels).double()
        return torch.stack([found, labels.double(), errors], dim=1)

    def score(self, observed: Tensor) -> dict[str, float]:
        """The task's metric, and the mean loss."""
        predicted, right, loss = observed.cpu().double().numpy().T
        return {**self.metric(predicted, right), "loss": float(loss.mean())}

    def describe(self, logits: Tensor) -> dict[str, str | float]:
        """The number."""
        return {"score": float(logits.squeeze(-1))}

    @staticmethod
    def _errors(logits: Tensor, labels: Tensor) -> Tensor:
        return (logits.squeeze(-1).float() - labels.float()).square()

    @cached_property
    def _examples(self) -> Examples:
        return Examples(self.corpus, self._encode)

    def _encode(self, table: Table) -> list[Encoded]:
        columns = labelled_columns(table, self.corpus.settings)
        found = numbers(table, columns.label)
        encoded = self.encode(texts_of(table, columns))
        return [e._replace(label=n) for e, n in zip(encoded, found, strict=True)]
