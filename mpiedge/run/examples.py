"""The examples of a run: read where routes start, counted on rank 0, checked to be the same."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mpiedge.comm.values import collectively, decided, gather
from mpiedge.errors import BadInput
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.opening import Opened
from mpiedge.task.task import Encoded, Split


class Counts(NamedTuple):
    """How many examples there are, known to every rank."""

    train: int
    validation: int


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


def read(opened: Opened, plan: PartitionPlan, counts: Counts) -> Examples:
    """Read the splits on the ranks where routes start; raises BadInput where they differ."""
    transport = opened.transport
    starts = transport.rank in plan.starts

    def splits() -> Examples:
        if not starts:
            return Examples(counts)
        train = opened.task.examples("train") if counts.train else ()
        return Examples(counts, train, opened.task.examples("validation"))

    examples = collectively(transport, splits)
    digest = _digest([*examples.train, *examples.validation])
    digests = gather(transport, digest if starts else None)
    collectively(transport, lambda: _check_same(digests))
    return examples


def _digest(examples: Sequence[Encoded]) -> int:
    value = 0
    for example in examples:
        value = zlib.crc32(repr(tuple(example)).encode(), value)
    return value


def _check_same(digests: Sequence[int | None] | None) -> None:
    read = {rank: digest for rank, digest in enumerate(digests or ()) if digest is not None}
    first = min(read, default=0)
    differing = [rank for rank, digest in read.items() if digest != read[first]]
    if differing:
        raise BadInput(
            f"ranks {differing} read other examples than rank {first}; copy the same files of "
            f"task.data to every device"
        )
