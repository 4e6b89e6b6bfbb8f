"""The examples of a run: read where routes start, counted on rank 0, checked to be the same."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mpiedge.comm.values import collectively, decided, gather
from mpiedge.errors import BadInput
from mpiedge.run.opening import Opened
from mpiedge.store.layout import Counts as Tokens
from mpiedge.task.task import Encoded, Split


class Counts(NamedTuple):
    """How many examples there are, known to every rank."""

    train: int
    validation: int


class Survey(NamedTuple):
    """What every rank knows of a split's examples, also where they are not read."""

    lengths: tuple[int, ...]  # how much work each is
    sources: tuple[int, ...]  # tokens of each that the model is given
    targets: tuple[int, ...]  # tokens of each that a decoder apart is given; else 0
    digest: str  # of all there is in them

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.lengths)

    @property
    def tokens(self) -> list[Tokens]:
        """The tokens of each example."""
        return [Tokens(*pair) for pair in zip(self.sources, self.targets, strict=True)]


@dataclass(frozen=True)
class Examples:
    """What one rank has read; empty on ranks where no route starts."""

    counts: Counts
    train: Sequence[Encoded] = ()
    validation: Sequence[Encoded] = ()


def count(opened: Opened, splits: tuple[Split, ...] = ("train", "validation")) -> Counts:
    """Read the splits on rank 0 and say how many examples they have."""
    task = opened.task
    found = decided(opened.transport, lambda: {one: len(task.examples(one)) for one in splits})
    return Counts(found.get("train", 0), found.get("validation", 0))


def survey(opened: Opened, split: Split) -> Survey:
    """Look the split through on rank 0, and tell all ranks."""
    task, decodes = opened.task, opened.blueprint.bridge is not None

    def look() -> tuple[list[int], list[int], list[int], str]:
        examples = task.examples(split)
        # A decoder's input is made by the task: alone in its batch, an example has no padding.
        widths = (task.collate([e]).decoder_tokens.shape[-1] for e in examples if decodes)
        return (
            [example.length for example in examples],
            [len(example.tokens) for example in examples],
            list(widths) or [0] * len(examples),
            _digest(examples),
        )

    lengths, sources, targets, digest = decided(opened.transport, look)
    return Survey(tuple(lengths), tuple(sources), tuple(targets), digest)


def read(opened: Opened, starts: frozenset[int], counts: Counts) -> Examples:
    """Read the splits on the ranks where routes start; raises BadInput where they differ."""
    transport = opened.transport
    here = transport.rank in starts

    def splits() -> Examples:
        if not here:
            return Examples(counts)
        train = opened.task.examples("train") if counts.train else ()
        return Examples(counts, train, opened.task.examples("validation"))

    examples = collectively(transport, splits)
    digest = _digest([*examples.train, *examples.validation])
    digests = gather(transport, digest if here else None)
    collectively(transport, lambda: _check_same(digests))
    return examples


def _digest(examples: Iterable[Encoded]) -> str:
    made = hashlib.blake2b(digest_size=16)
    for example in examples:
        made.update(repr(tuple(example)).encode())
    return made.hexdigest()


def _check_same(digests: Sequence[str | None] | None) -> None:
    read = {rank: digest for rank, digest in enumerate(digests or ()) if digest is not None}
    first = min(read, default=0)
    differing = [rank for rank, digest in read.items() if digest != read[first]]
    if differing:
        raise BadInput(
            f"ranks {differing} read other examples than rank {first}; copy the same files of "
            f"task.data to every device"
        )
