"""How much there is to do in a run: examples counted, updates laid out, before any plan.

Apart from preparing a run, since a plan that is only looked at needs the same numbers and none of
the examples.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.run.clients import check_none, homes, read_clients
from mpiedge.run.clock import Clock
from mpiedge.run.examples import count
from mpiedge.run.opening import Opened
from mpiedge.run.planning import Extent, micro_batches
from mpiedge.strategy.registry import AT_CLIENTS, IN_ROUNDS, POOLING


class Counted(NamedTuple):
    """A run's updates, and what a strategy is told of them."""

    clock: Clock
    extent: Extent


def counted(opened: Opened) -> Counted:
    """Count a run's examples; called by all ranks.  Raises BadInput where they cannot be read.

    Nothing is taken to be kept from an earlier run.
    """
    settings, training = opened.settings, opened.settings.training
    if settings.strategy.name not in AT_CLIENTS:
        check_none(settings)
        clock = clock_of(training, count(opened, ("train",)).train)
        return Counted(clock, _extent(clock, training, clock.examples))
    read = not settings.task.client_files and opened.transport.rank in homes(opened)
    train = collectively(opened.transport, lambda: opened.task.examples("train") if read else ())
    sizes = read_clients(opened, train, lengths=False).sizes
    clock = clients_clock(settings, sizes)
    if settings.strategy.name in POOLING:
        return Counted(clock, replace(_extent(clock, training, clock.examples), examples=sizes))
    each = tuple(-(-size // training.batch_size) for size in sizes)
    return Counted(clock, replace(_extent(clock, training, max(sizes)), clients=each))


def clock_of(training: TrainingSettings, examples: int) -> Clock:
    """The updates of a run over so many examples, wherever they are."""
    return Clock(
        examples,
        training.batch_size,
        training.epochs,
        training.max_steps,
        training.evaluate_every,
    )


def clients_clock(settings: RunSettings, sizes: Sequence[int]) -> Clock:
    """The updates of a run whose examples are clients', of whom each has so many.

    In rounds every client trains on a batch, or on several, for one update.
    """
    name, training = settings.strategy.name, settings.training
    clock = clock_of(training, sum(sizes))
    if name in POOLING:
        return clock
    if name in IN_ROUNDS:
        steps = settings.strategy.local_steps if name == "fedlora" else 1
        return replace(clock, batch_size=steps * training.batch_size * len(sizes))
    return replace(clock, batches=sum(-(-size // training.batch_size) for size in sizes))


def _extent(clock: Clock, training: TrainingSettings, examples: int) -> Extent:
    return Extent(
        batches=clock.steps, micro_batches=micro_batches(training, examples), epoch=clock.epoch
    )
