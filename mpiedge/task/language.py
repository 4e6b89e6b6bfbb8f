"""Next-token prediction: over a text, or over the completion of a prompt.

A completion is tokenised apart from its prompt, as it is when a model is asked to go on, and ends
with the end token.  Prompt and completion are parted by a line feed where neither brings a blank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.task.collate import Padding
from mpiedge.task.columns import Columns, language_columns, texts_of
from mpiedge.task.corpus import Corpus, Examples
from mpiedge.task.table import Table
from mpiedge.task.task import IGNORED, Encoded, Inputs, Split
from mpiedge.task.token_scores import observe_tokens, score_tokens, token_loss
from mpiedge.task.tokens import TextEncoder


@dataclass(frozen=True)
class Language:
    """Labels are the tokens themselves, one place earlier."""

    corpus: Corpus
    encoder: TextEncoder
    padding: Padding

    @property
    def purpose(self) -> str:
        """The head: one logit a token of the vocabulary."""
        return "language"

    @property
    def labels(self) -> tuple[str, ...]:
        """None: the vocabulary is the label set."""
        return ()

    @property
    def columns(self) -> Columns:
        """Where the text and the label stand."""
        return language_columns(self.corpus.labelled, self.corpus.settings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the data."""
        return self.corpus.notes

    def examples(self, split: Split) -> Sequence[Encoded]:
        """All examples of a split."""
        return self._examples.of(split)

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """Prompts, without the end token that some tokenizers add."""
        joined = [("\n".join(parts),) for parts in texts]
        return [Encoded(self._opened(found.tokens)) for found in self.encoder.encode(joined)]

    def collate(self, examples: Sequence[Encoded]) -> Inputs:
        """Rows whose label at t is what the logits at t are to say."""
        targets = [e.target or (IGNORED,) * len(e.tokens) for e in examples]
        return self.padding.inputs(examples, self.padding.rows(targets, IGNORED))

    def units(self, example: Encoded) -> int:
        """Label tokens."""
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
        """Perplexity, loss, token accuracy and exact match."""
        return score_tokens(observed)

    def describe(self, logits: Tensor) -> dict[str, str | float]:
        """Not for a model that generates text."""
        raise BadInput("a language model answers with text that it generates, not with a label")

    @property
    def end(self) -> int | None:
        """The token that ends a completion."""
        return self.encoder.end

    def continued(self, example: Encoded, tokens: tuple[int, ...]) -> Encoded:
        """The prompt and what was generated; its start gives way when it becomes too long."""
        return example._replace(tokens=(example.tokens + tokens)[-self.encoder.max_length :])

    def decoded(self, tokens: tuple[int, ...]) -> str:
        """Tokens as text."""
        return self.encoder.decode(tokens)

    @cached_property
    def _examples(self) -> Examples:
        return Examples(self.corpus, self._encode)

    def _encode(self, table: Table) -> list[Encoded]:
        columns = language_columns(table, self.corpus.settings)
        texts = texts_of(table, columns)
        if not columns.label:
            return [_labelled(e.tokens, 1) for e in self.encode(texts)]
        return self._completed(texts, table.column(columns.label, "task.label"))

    def _completed(self, texts: list[tuple[str, ...]], completions: list[str]) -> list[Encoded]:
        pairs = zip(texts, completions, strict=True)
        prompts = [_parted("\n".join(parts), after) for parts, after in pairs]
        begun = self.encoder.pieces(prompts, special=True)
        ends = self.encoder.pieces(completions, special=False)
        return [self._joined(a, b) for a, b in zip(begun, ends, strict=True)]

    def _joined(self, prompt: tuple[int, ...], completion: tuple[int, ...]) -> Encoded:
        prompt = self._opened(prompt) or (self.encoder.filler,)
        whole = completion if self.end is None else (*completion, self.end)
        # A long prompt gives way to its completion, from its start, but keeps half of the room.
        room = self.encoder.max_length
        kept = whole[: room - min(len(prompt), room // 2)]
        begun = prompt[-(room - len(kept)) :]
        return _labelled(begun + kept, len(begun))

    def _opened(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        return tokens[:-1] if len(tokens) > 1 and tokens[-1] == self.end else tokens


def _labelled(tokens: tuple[int, ...], given: int) -> Encoded:
    """Labels for all but the first ``given`` tokens, each at the place before its token."""
    return Encoded(tokens, target=(IGNORED,) * (given - 1) + tokens[given:] + (IGNORED,))


def _parted(prompt: str, completion: str) -> str:
    blank = prompt[-1:].isspace() or completion[:1].isspace() or not prompt
    return prompt if blank else prompt + "\n"
