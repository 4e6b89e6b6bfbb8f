"""How the text tasks with one answer a row get their text into a model.

Classification and regression share it: tokens with types, padded, and, for a model with a
decoder, the same tokens once more, one place later, as T5 and BART classify.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mpiedge.task.collate import Padding, shift_right
from mpiedge.task.task import Encoded, Inputs
from mpiedge.task.tokens import TextEncoder


@dataclass(frozen=True)
class TextInput:
    """A tokenizer, its padding, and the decoder's first token where there is a decoder."""

    encoder: TextEncoder
    padding: Padding
    decoder_start: int | None = None

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """Texts, or pairs of texts, without labels."""
        return self.encoder.encode(texts)

    def collate(self, examples: Sequence[Encoded], labels: Tensor) -> Inputs:
        """Examples side by side, with the decoder's tokens where there is a decoder."""
        inputs = self.padding.inputs(examples, labels)
        if self.decoder_start is None:
            return inputs
        shifted = shift_right(inputs.tokens, self.decoder_start, self.padding.pad)
        return inputs._replace(decoder_tokens=shifted)
