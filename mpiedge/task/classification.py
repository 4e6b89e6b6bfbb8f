"""Text, or a pair of texts, to one of a few labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from mpiedge.task.columns import Columns, labelled_columns, texts_of
from mpiedge.task.corpus import Corpus, Examples
from mpiedge.task.labels import LabelSet, collect_labels
from mpiedge.task.metrics import Metric
from mpiedge.task.table import Table
from mpiedge.task.task import Encoded, Inputs, Split
from mpiedge.task.text_input import TextInput


@dataclass(frozen=True)
class Classification:
    """Every label is a class; the loss is the cross-entropy."""

    corpus: Corpus
    text_input: TextInput
    metric: Metric
    given: LabelSet  # without names: those in the training file

    @property
    def purpose(self) -> str:
        """The head: one logit a label."""
        return "classification"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids."""
        return self._label_set.names

    @property
    def columns(self) -> Columns:
        """Where the text and the label stand."""
        return self._columns(self.corpus.labelled)

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
        """Rows with one label id each."""
        labels = torch.tensor([example.label for example in examples], dtype=torch.int64)
        return self.text_input.collate(examples, labels)

    def units(self, example: Encoded) -> int:
        """A row is one term of the loss."""
        return 1

    def judged(self, labels: Tensor) -> None:
        """Every row has one label."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, summed over the rows."""
        return functional.cross_entropy(logits.float(), labels, reduction="sum")

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of each row: the label found, the right one, the loss."""
        loss = functional.cross_entropy(logits.float(), labels, reduction="none")
        return torch.stack([logits.argmax(-1).double(), labels.double(), loss.double()], dim=1)

    def score(self, observed: Tensor) -> dict[str, float]:
        """The task's metric, and the mean loss."""
        predicted, right, loss = observed.cpu().double().numpy().T
        return {**self.metric(predicted, right), "loss": float(loss.mean())}

    def describe(self, logits: Tensor) -> dict[str, str | float]:
        """The likeliest label and its probability."""
        likely = logits.double().softmax(-1)
        best = int(likely.argmax())
        return {"label": self.labels[best], "score": float(likely[best])}

    @cached_property
    def _examples(self) -> Examples:
        return Examples(self.corpus, self._encode)

    @cached_property
    def _label_set(self) -> LabelSet:
        if self.given.names:
            return self.given
        table = self.corpus.labelled
        return LabelSet(collect_labels(table, self._columns(table).label))

    def _encode(self, table: Table) -> list[Encoded]:
        columns = self._columns(table)
        ids = self._label_set.ids(table, columns.label)
        encoded = self.encode(texts_of(table, columns))
        return [e._replace(label=i) for e, i in zip(encoded, ids, strict=True)]

    def _columns(self, table: Table) -> Columns:
        return labelled_columns(table, self.corpus.settings)
