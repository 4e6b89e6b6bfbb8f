"""From a micro-batch's padded tensors to the records of its examples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.store.checksum import Bytes
from mpiedge.store.codec import Codec
from mpiedge.store.layout import Layout
from mpiedge.store.record import Label


@dataclass(frozen=True)
class Outputs:
    """What a run of layers made of some examples, as the backbone had it."""

    examples: Sequence[int]
    layers: range
    hidden: Sequence[Tensor]  # a layer: [rows, seq, width]
    masks: Sequence[Tensor]  # a layer: [rows, seq], 1 a real token

    def checked(self, layout: Layout) -> "Outputs":
        """Itself; raises BadInput for what cannot be of this layout."""
        shapes = {(*mask.shape, layout.width) for mask in self.masks}
        if len(self.hidden) != len(self.layers) or len(self.masks) != len(self.layers):
            raise BadInput(
                f"activation cache: {len(self.layers)} layers, but {len(self.hidden)} activations "
                f"and {len(self.masks)} masks"
            )
        if {tuple(one.shape) for one in self.hidden} - shapes or any(
            shape[0] != len(self.examples) for shape in shapes
        ):
            found = sorted({tuple(one.shape) for one in self.hidden})
            raise BadInput(
                f"activation cache: {len(self.examples)} examples of width {layout.width} with "
                f"masks of {sorted(shape[:2] for shape in shapes)}, but activations of {found}"
            )
        return self

    def on_cpu(self) -> "Outputs":
        """The same where the disk can be written from."""
        hidden = [one.detach().cpu() for one in self.hidden]
        masks = [(mask != 0).cpu() for mask in self.masks]
        return Outputs(self.examples, self.layers, hidden, masks)


@dataclass(frozen=True)
class Packing:
    """A micro-batch that is taken apart into the records of its examples."""

    batch: Outputs
    layout: Layout

    def labels(self) -> Iterator[tuple[int, Label]]:
        """Each row of the micro-batch and what its record is of."""
        layers, cut = self.batch.layers, self.layout.bridge
        source, target = (mask.sum(1).tolist() for mask in self._ends())
        for row, example in enumerate(self.batch.examples):
            tokens = source[row] if layers.start < cut else 0
            later = target[row] if layers.stop > cut else 0
            yield row, Label(int(example), layers.start, layers.stop, tokens, later)

    def write(self, row: int, codec: Codec, content: Bytes) -> None:
        """Write the rows of an example's record [rows, row bytes]."""
        source, target = (_places(mask[row]) for mask in self._ends())
        at = 0
        for layer, hidden in zip(self.batch.layers, self.batch.hidden, strict=True):
            values = hidden[row][source if layer < self.layout.bridge else target]
            codec.write(values, content[at : at + values.shape[0]])
            at += values.shape[0]

    def _ends(self) -> tuple[Tensor, Tensor]:
        """The source's mask and the target's; where the layers have one, it is both."""
        return self.batch.masks[0], self.batch.masks[-1]


def _places(mask: Tensor) -> slice | Tensor:
    """Where the real tokens of a row are; a slice where they are neighbours, as is usual."""
    places = mask.nonzero().flatten()
    found = places.tolist()
    if not found:
        return slice(0, 0)
    return slice(found[0], found[-1] + 1) if found[-1] - found[0] + 1 == len(found) else places
