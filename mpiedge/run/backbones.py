"""Where the frozen model's activations come from in a phase: computed, recorded or read back."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple

from mpiedge.pipeline.portion import Backbones
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

    layers: Sequence[int]
    """Those that the rank runs, all in one stage."""
    examples: Numbered
    batches: Callable[[], Iterator[Batch]]
    """Those that the rank takes part in, from the first on; another thread goes through them."""


def evaluation_visits(evaluation: Evaluation, rank: int) -> Visits:
    """The visits of a split's examples that each come once."""
    numbers, layers = evaluation.numbers(rank), evaluation.plan.layers_of(rank)
    return Visits(layers, evaluation.examples, lambda: map(evaluation.examples, numbers))


@contextmanager
def backbones(
    opened: Opened, source: Source, one: SplitCache | None, visits: Visits, split: Sequence[Encoded]
) -> Iterator[Backbones | None]:
    """Backbones for the micro-batches of a ``split``; nothing where the model just computes.

    After recording all of it is on the disk.  What turns out to be damaged in replaying is made
    again.
    """
    headed = source is Source.REPLAY and one is not None and not _kept(one, visits)
    if one is None or source is Source.COMPUTE or headed:
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
    done, layers = 0, _kept(one, visits)
    while True:
        due = (batch for batch in visits.batches() if batch)
        with Prefetch(one.cache, islice(due, done, None), layers, left=one.left) as ahead:
            try:
                for replay in ahead:
                    done += 1
                    yield replay
            except Damaged as damaged:
                one.cache.drop(damaged.examples)
            else:
                return
        # What stands in the same file may be gone too, and is made again at the same time.
        wanted = {example for batch in visits.batches() for example in batch}
        lost = wanted.difference(one.cache.complete(layers).tolist())
        mend(opened, one.cache, split, sorted(lost), layers)


def _kept(one: SplitCache, visits: Visits) -> range:
    """The layers of a rank's stage that are stored; none where it has the head alone."""
    held = [layer for layer in visits.layers if layer in one.layers]
    return range(held[0], held[-1] + 1) if held else range(0)
