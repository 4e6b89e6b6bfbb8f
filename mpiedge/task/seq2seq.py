"""A text to another text, by a model with an encoder and a decoder.

The decoder is given the output one token late, behind its start token.  A tokenizer may put that
very start token before the output itself; it is then taken off, for it is never to be predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.task.collate import Padding, shift_right
from mpiedge.task.columns import Columns, output_columns, texts_of
from mpiedge.task.corpus import Corpus, Examples
from mpiedge.task.table import Table
from mpiedge.task.task import IGNORED, Encoded, Inputs, Split
from mpiedge.task.token_scores import observe_tokens, score_tokens, token_loss
from mpiedge.task.tokens import TextEncoder


@dataclass(frozen=True)
class Seq2Seq:
    """Labels are the tokens of the output text and the end token."""

    corpus: Corpus
    encoder: TextEncoder
    padding: Padding
    output: TextEncoder
    decoder_start: int

    @property
    def purpose(self) -> str:
        """The head: one logit a token of the output's vocabulary."""
        return "seq2seq"

    @property
    def labels(self) -> tuple[str, ...]:
        """None: the vocabulary is the label set."""
        return ()

    @property
    def columns(self) -> Columns:
        """Where the text and the label stand."""
        return output_columns(self.corpus.labelled, self.corpus.settings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the data."""
        return self.corpus.notes

    def examples(self, split: Split) -> Sequence[Encoded]:
        """All examples of a split."""
        return self._examples.of(split)

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """Input texts, without outputs."""
        return self.encoder.encode(texts)

    def collate(self, examples: Sequence[Encoded]) -> Inputs:
        """Rows with the output as labels, and once more one place late for the decoder."""
        targets = [example.target or (IGNORED,) for example in examples]
        labels = Padding(self.output.pad).rows(targets, IGNORED)
        shifted = shift_right(labels, self.decoder_start, self.output.pad)
        return self.padding.inputs(examples, labels)._replace(decoder_tokens=shifted)

    def units(self, example: Encoded) -> int:
        """Tokens of the output."""
        return len(example.target) - example.target.count(IGNORED)

    def judged(self, labels: Tensor) -> Tensor:
        """The label tokens."""
        return labels != IGNORED

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, summed over the label tokens."""
        return token_loss(logits, labels)

    def observe(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of each row: loss, label tokens, right ones, whether all are right."""
        return observe_tokens(logits, labels)

    def score(self, observed: Tensor) -> dict[str, float]:
        """Exact match, token accuracy, loss and perplexity."""
        found = score_tokens(observed)
        return {"exact_match": found.pop("exact_match"), **found}

    def describe(self, logits: Tensor) -> dict[str, str | float]:
        """Not for a model that generates text."""
        raise BadInput("this model answers with text that it generates, not with a label")

    @property
    def end(self) -> int | None:
        """The token that ends an output."""
        return self.output.end

    def continued(self, example: Encoded, tokens: tuple[int, ...]) -> Encoded:
        """The input with what was generated; the last target only makes room for one more."""
        return example._replace(target=(*tokens, self.output.pad))

    def decoded(self, tokens: tuple[int, ...]) -> str:
        """Tokens as text."""
        return self.output.decode(tokens)

    @cached_property
    def _examples(self) -> Examples:
        return Examples(self.corpus, self._encode)

    def _encode(self, table: Table) -> list[Encoded]:
        columns = output_columns(table, self.corpus.settings)
        outputs = [(text,) for text in table.column(columns.label, "task.label")]
        inputs = self.encode(texts_of(table, columns))
        targets = self.output.encode(outputs)
        pairs = zip(inputs, targets, strict=True)
        return [e._replace(target=self._target(t.tokens)) for e, t in pairs]

    def _target(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        if len(tokens) > 1 and tokens[0] == self.decoder_start:
            tokens = tokens[1:]
        if self.end is None or tokens[-1] == self.end:
            return tokens
        return (*tokens[: self.output.max_length - 1], self.end)
