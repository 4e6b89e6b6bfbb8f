"""The shape of an encoder-decoder model, and what is tuned in it, as numbers alone.

Apart from the counts that follow from them, so that a model nobody has loaded can be described in
a line.
"""

from dataclasses import dataclass
from enum import Enum


class Technique(str, Enum):
    """How a model is fine-tuned."""

    FULL = "full"
    ADAPTERS = "adapters"  # bottlenecks after each attention and feed-forward part
    LORA = "lora"  # on queries and values
    PARALLEL = "parallel"  # a side network (PAC)


@dataclass(frozen=True)
class Shape:
    """An encoder and a decoder of equal width."""

    width: int
    inner: int  # of the feed-forward part
    heads: int
    encoder: int  # blocks
    decoder: int
    vocabulary: int
    positions: int = 0  # learned vectors for places, encoder's and decoder's; 0: none
    biased: bool = False  # products and norms have biases
    fused_norms: bool = False  # a norm is one operation, not six that follow each other
    scores: bool = True  # the head scores every word, by the embedding's weights

    @property
    def bridge(self) -> int:
        """The decoder's first block; layer 0 is the embedding."""
        return 1 + self.encoder

    @property
    def layers(self) -> int:
        """Embedding, blocks and head."""
        return 2 + self.encoder + self.decoder

    def narrowed(self, factor: int) -> "Shape":
        """The side network's blocks: every width by ``factor``, as many heads, no biases."""
        return Shape(
            width=self.width // factor,
            inner=self.inner // factor,
            heads=self.heads,
            encoder=self.encoder,
            decoder=self.decoder,
            vocabulary=0,
            fused_norms=self.fused_norms,
            scores=False,
        )


@dataclass(frozen=True)
class Sizes:
    """Tokens of an example, and widths of what a technique adds (PAC, section 6.1)."""

    source: int = 128  # tokens the encoder reads
    target: int = 1  # tokens the decoder is given
    bottleneck: int = 16  # the width over that of a bottleneck
    rank: int = 32  # of LoRA
    reduction: int = 8  # the width over the side network's
