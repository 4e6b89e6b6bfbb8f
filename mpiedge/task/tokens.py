"""Texts to token ids, with any fast tokenizer.

Many texts at a time, because that is where a fast tokenizer is fast; not all at once, because its
own bookkeeping is some ten times the size of the ids.  Equal ids are one object, so that an
example costs eight bytes a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.task import Encoded

AT_ONCE = 1024


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer and the number of tokens that it keeps of an example."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    setting: str = "task.max_length"
    _shared: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        least = self.tokenizer.num_special_tokens_to_add(pair=True) + 2
        if self.max_length < least:
            raise BadInput(
                f"{self.setting} is {self.max_length}, and a pair of one-token texts takes "
                f"{least} tokens with this tokenizer; raise it to {least} or more"
            )

    @property
    def pad(self) -> int:
        """The id that fills a row up; where a tokenizer has none, any will do under the mask."""
        return self._first_of(self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)

    @property
    def filler(self) -> int:
        """The one token of an empty text, where the tokenizer adds none: no row is empty."""
        return self._first_of(
            self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        )

    @property
    def end(self) -> int | None:
        """The token that ends a text, if the tokenizer has one."""
        stop = self.tokenizer.eos_token_id
        return None if stop is None else int(stop)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without special ones."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """Each text, or pair of texts, with the tokenizer's special tokens and token types."""
        if len({len(parts) for parts in texts}) > 1:
            raise BadInput("some texts come alone and some in pairs; give one kind at a time")
        found: list[Encoded] = []
        for start in range(0, len(texts), AT_ONCE):
            found += self._encode(texts[start : start + AT_ONCE])
        return found

    def pieces(self, texts: Sequence[str], *, special: bool) -> list[tuple[int, ...]]:
        """Each text's tokens with nothing cut off, with or without special tokens."""
        found: list[tuple[int, ...]] = []
        for start in range(0, len(texts), AT_ONCE):
            chunk = list(texts[start : start + AT_ONCE])
            rows = self.tokenizer(chunk, add_special_tokens=special, verbose=False)["input_ids"]
            found += map(self._row, rows)
        return found

    def _encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        columns = [list(column) for column in zip(*texts, strict=True)]
        rows = self.tokenizer(
            *columns,
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=False,
            return_token_type_ids=True,
        )
        pairs = zip(rows["input_ids"], rows["token_type_ids"], strict=True)
        return [
            Encoded(self._row(ids) or (self.filler,), tuple(types) if any(types) else ())
            for ids, types in pairs
        ]

    def _row(self, ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(map(self._shared.setdefault, ids, ids))

    @staticmethod
    def _first_of(*ids: int | None) -> int:
        return next((i for i in ids if i is not None), 0)
