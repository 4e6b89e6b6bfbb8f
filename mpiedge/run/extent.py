"""How much there is to do in a run: examples counted, updates laid out, before any plan.

Apart from preparing a run, since a plan that is only looked at needs the same numbers and none of
the examples.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings
from mpiedge.model.purpose import Purpose
from mpiedge.pipeline.feed import Order, dealt, shuffled
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.run.clients import SEEDS, check_none, homes, read_clients
from mpiedge.run.clock import Clock
from mpiedge.run.examples import survey
from mpiedge.run.opening import Opened
from mpiedge.run.planning import Extent, micro_batches
from mpiedge.store.layout import Counts
from mpiedge.strategy.registry import AT_CLIENTS, IN_ROUNDS, POOLING
from mpiedge.task.sampler import Batch


class Counted(NamedTuple):
    """A run's updates, what a strategy is told of them, and how long the examples are."""

    clock: Clock
    extent: Extent
    sizes: tuple[int, ...]  # examples of each client; empty where there are none
    tokens: tuple[Counts, ...]  # of each training example
    filling: float  # tokens of a micro-batch, padding and all, in parts of the most there can be
    fullest: float  # the same of the longest examples together


def counted(opened: Opened) -> Counted:
    """Count a run's examples; called by all ranks.  Raises BadInput where they cannot be read.

    Nothing is taken to be kept from an earlier run.
    """
    if opened.settings.strategy.name in AT_CLIENTS:
        return _of_clients(opened)
    training = opened.settings.training
    check_none(opened.settings)
    found = survey(opened, "train")
    clock = clock_of(training, found.size)
    tokens = tuple(found.tokens)
    one = order_of(opened, found.lengths)
    rows = [[tokens[i] for i in batch or (0,)] for batch in _epoch(one, range(clock.epoch))]
    extent = _extent(clock, training, clock.examples)
    return Counted(clock, extent, (), tokens, _filling(opened, rows), _fullest(opened, tokens))


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
    each = [-(-size // training.batch_size) for size in sizes]
    if name == "splitlora" and settings.strategy.visits == "parallel":
        return replace(clock, batch_size=len(sizes) * training.batch_size, batches=max(each))
    return replace(clock, batches=sum(each))


def order_of(opened: Opened, lengths: Sequence[int]) -> Order:
    """The order of training examples of these lengths.

    Beside a frozen model an example keeps its place in the batch, since what is stored of it lies
    on the rank that trains that place.
    """
    training = opened.settings.training
    size = micro_batches(training, len(lengths))
    make = dealt if opened.settings.adapter.kind == "parallel" else shuffled
    return make(lengths, training.batch_size, size, training.seed)


def _of_clients(opened: Opened) -> Counted:
    settings, training = opened.settings, opened.settings.training
    read = not settings.task.client_files and opened.transport.rank in homes(opened)
    train = collectively(opened.transport, lambda: opened.task.examples("train") if read else ())
    clients = read_clients(opened, train, lengths=True)
    sizes, clock = clients.sizes, clients_clock(settings, clients.sizes)
    pools = settings.strategy.name in POOLING
    extent = _extent(clock, training, clock.examples if pools else max(sizes))
    if pools:
        extent = replace(extent, examples=sizes)
    else:
        extent = replace(extent, clients=clients.batches(training.batch_size))
    tokens = {client: tuple(map(Counts, each)) for client, each in sorted(clients.tokens.items())}
    rows = _clients_rows(training, clients.lengths, tokens, extent.micro_batches)
    every = tuple(one for client in tokens for one in tokens[client])
    return Counted(clock, extent, sizes, every, _filling(opened, rows), _fullest(opened, every))


def _clients_rows(
    training: TrainingSettings,
    lengths: Mapping[int, Sequence[int]],
    tokens: Mapping[int, Sequence[Counts]],
    count: int,
) -> list[list[Counts]]:
    """The examples of an epoch's micro-batches, every client's in an order of its own."""
    found = []
    for client, each in lengths.items():
        order = shuffled(each, training.batch_size, count, training.seed + SEEDS * client)
        batches = range(-(-len(each) // training.batch_size))
        found += [[tokens[client][i] for i in batch or (0,)] for batch in _epoch(order, batches)]
    return found


def _epoch(order: Order, batches: range) -> Iterable[Batch]:
    """The micro-batches of one epoch; an example stands in for those that are empty."""
    return (portion for number in batches for portion in order.batch(number))


def _filling(opened: Opened, rows: Sequence[Sequence[Counts]]) -> float:
    """Tokens of an ordinary micro-batch, in parts of the most that the settings allow."""
    return sum(map(partial(_padded, opened), rows)) / len(rows) / _most(opened)


def _fullest(opened: Opened, examples: Sequence[Counts]) -> float:
    """The same of the longest examples together, which no micro-batch exceeds."""
    size = opened.settings.training.micro_batch_size
    longest = Counts(max(c.source for c in examples), max(c.target for c in examples))
    return min(1.0, _padded(opened, [longest] * size) / _most(opened))


def _padded(opened: Opened, examples: Sequence[Counts]) -> int:
    """Tokens of a micro-batch, padding and all."""
    decodes = opened.purpose is Purpose.SEQ2SEQ
    source = max(c.source for c in examples)
    return len(examples) * (source + decodes * max(c.target for c in examples))


def _most(opened: Opened) -> int:
    task, size = opened.settings.task, opened.settings.training.micro_batch_size
    decodes = opened.purpose is Purpose.SEQ2SEQ
    return size * (task.max_length + (task.max_target_length if decodes else 0))


def _extent(clock: Clock, training: TrainingSettings, examples: int) -> Extent:
    return Extent(
        batches=clock.steps, micro_batches=micro_batches(training, examples), epoch=clock.epoch
    )
