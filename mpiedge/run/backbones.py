"""Where the frozen model's activations come from in a phase: computed, recorded or read back."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple

from mpiedge.pipeline.engine import Backbones
from mpiedge.pipeline.recording import Numbered, Recording, Replaying
from mpiedge.run.caching import SplitCache
from mpiedge.run.mending import mend
from mpiedge.run.opening import Opened
from mpiedge.store.damaged import Damaged
from mpiedge.store.prefetch import Prefetch, Replay
from mpiedge.strategy.strategy import Source
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded


class Visits(NamedTuple):
    """The micro-batches that a rank takes part in, in order, and their examples."""

    numbers: Sequence[int]
    examples: Numbered


@contextmanager
def backbones(
    opened: Opened, source: Source, one: SplitCache | None, visits: Visits, split: Sequence[Encoded]
) -> Iterator[Backbones | None]:
    """Backbones for the micro-batches of a ``split``; nothing where the model just computes.

    After recording all of it is on the disk.  What turns out to be damaged in replaying is made
    again.
    """
    if one is None or source is Source.COMPUTE:
        yield None
    elif source is Source.RECORD:
        yield Recording(one.cache, one.survey.targets, visits.examples)
        one.cache.finish()
    else:
        batches = [visits.examples(number) for number in visits.numbers]
        with closing(_replays(opened, one, split, batches)) as replays:
            yield Replaying(replays, one.cache.layout, one.survey.targets, visits.examples)


def _replays(
    opened: Opened, one: SplitCache, split: Sequence[Encoded], batches: Sequence[Batch]
) -> Generator[Replay, None, None]:
    due = [batch for batch in batches if batch]
    done = 0
    while done < len(due):
        with Prefetch(one.cache, islice(due, done, None), one.layers) as ahead:
            try:
                for replay in ahead:
                    done += 1
                    yield replay
            except Damaged as damaged:
                lost = damaged.examples
            else:
                return
        mend(opened, one.cache, split, lost)
