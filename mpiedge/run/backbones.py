"""Where the frozen model's activations come from in a phase: computed, recorded or read back."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple

from mpiedge.pipeline.engine import Backbones
from mpiedge.pipeline.recording import Numbered, Recording, Replaying
from mpiedge.run.caching import SplitCache
from mpiedge.run.evaluation import Evaluation
from mpiedge.run.mending import mend
from mpiedge.run.opening import Opened
from mpiedge.store.damaged import Damaged
from mpiedge.store.prefetch import Prefetch, Replay
from mpiedge.strategy.strategy import Source
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded


class Visits(NamedTuple):
    """The examples of every micro-batch, and of those that a rank takes part in."""

    examples: Numbered
    batches: Callable[[], Iterator[Batch]]
    """Those that the rank takes part in, from the first on; another thread goes through them."""


def evaluation_visits(evaluation: Evaluation, rank: int) -> Visits:
    """The visits of a split's examples that each come once."""
    numbers = evaluation.numbers(rank)
    return Visits(evaluation.examples, lambda: map(evaluation.examples, numbers))


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
        with closing(_replays(opened, one, split, visits)) as replays:
            yield Replaying(replays, one.cache.layout, one.survey.targets, visits.examples)


def _replays(
    opened: Opened, one: SplitCache, split: Sequence[Encoded], visits: Visits
) -> Generator[Replay, None, None]:
    done = 0
    while True:
        due = (batch for batch in visits.batches() if batch)
        with Prefetch(one.cache, islice(due, done, None), one.layers, left=one.left) as ahead:
            try:
                for replay in ahead:
                    done += 1
                    yield replay
            except Damaged as damaged:
                lost = damaged.examples
            else:
                return
        mend(opened, one.cache, split, lost)
