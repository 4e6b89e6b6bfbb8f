"""What a training run needs before its first update: a plan, the examples, the caches.

After this nothing that a user gave can be wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from mpiedge.comm.values import collectively
from mpiedge.pipeline.feed import Order, dealt, shuffled
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.run import planning
from mpiedge.run.caching import Caches, check_room, has_most, open_caches
from mpiedge.run.clients import Clients, Rota, check_none, homes, read_clients
from mpiedge.run.clock import Clock
from mpiedge.run.entrances import Entrances
from mpiedge.run.evaluation import portions
from mpiedge.run.examples import Examples, Survey, count, read, survey
from mpiedge.run.journal import Journal
from mpiedge.run.opening import Opened
from mpiedge.strategy.registry import AT_CLIENTS, RECORDING
from mpiedge.strategy.strategy import Phase
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Split

_SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class Prepared:
    """A run that can begin."""

    opened: Opened
    clock: Clock
    phases: tuple[Phase, ...]
    examples: Examples
    lengths: tuple[int, ...]  # of the training examples; empty where they are not needed
    caches: Caches | None
    clients: Clients | None = None  # whose data it is, where it stays with them
    entrances: Entrances | None = None  # what is kept of it where it enters blocks

    @property
    def stored(self) -> int:
        """Bytes of activations on this rank's disk."""
        return sum(kept.stored for kept in (self.caches, self.entrances) if kept is not None)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """For as long as activations are kept on the disk; closes them."""
        with ExitStack() as stack:
            for kept in (self.caches, self.entrances):
                if kept is not None:
                    stack.callback(kept.close)
            yield

    @property
    def size(self) -> int:
        """Micro-batches of one batch."""
        return len(self.phases[0].plan.micro_batches)

    def order(self) -> Order:
        """Which examples make up which batch; each caller has one of its own."""
        return order_of(self.opened, self.lengths)


def prepare(opened: Opened, journal: Journal) -> Prepared:
    """Plan, read the examples and open the caches; what a user gave wrong ends here."""
    transport, training = opened.transport, opened.settings.training
    if opened.settings.strategy.name in AT_CLIENTS:
        return _at_clients(opened, journal)
    collectively(transport, lambda: check_none(opened.settings))
    counts = count(opened)
    clock = _clock(training, counts.train)
    # What is never read back is only recorded for a later run.
    wanted = clock.steps > clock.epoch or opened.settings.cache.keep
    records = opened.settings.strategy.name in RECORDING and wanted
    surveys: dict[Split, Survey] = {s: survey(opened, s) for s in _SPLITS if records}
    caches = open_caches(opened, surveys, _passes(opened, surveys)) if records else None
    with ExitStack() as undo:
        if caches is not None:
            undo.callback(caches.close)
        phases = _planned(opened, clock, caches)
        # Only ranks where routes start need the data, and rank 0 has read it.
        notes = opened.task.notes if transport.rank == 0 else ()
        for line in (*notes, *planning.described(opened, phases)):
            journal.say(line)
        examples = read(opened, frozenset().union(*(p.plan.starts for p in phases)), counts)
        if caches is not None:
            check_room(opened, caches, phases)
        undo.pop_all()
    lengths = surveys["train"].lengths if records else tuple(e.length for e in examples.train)
    return Prepared(opened, clock, phases, examples, lengths, caches)


def _at_clients(opened: Opened, journal: Journal) -> Prepared:
    """The same where examples stay with their clients, which read them themselves."""
    settings, training = opened.settings, opened.settings.training
    files = settings.task.client_files
    counts = count(opened, ("validation",) if files else ("train", "validation"))
    examples = read(opened, homes(opened), counts)
    clients = read_clients(opened, examples.train, lengths=settings.strategy.prefix_cache)
    batches = clients.batches(training.batch_size)
    clock = replace(_clock(training, sum(clients.sizes)), batches=sum(batches))
    phases = _planned(opened, clock, None, clients)
    size = len(phases[0].plan.micro_batches)
    for line in planning.described(opened, phases):
        journal.say(line)
    entrances = None
    if phases[0].entrances:
        entrances = Entrances(opened, clients, Rota(opened, clients, size), size)
        with ExitStack() as undo:
            undo.callback(entrances.close)
            entrances.check_room(phases)
            undo.pop_all()
    return Prepared(opened, clock, phases, examples, (), None, clients, entrances)


def _planned(
    opened: Opened, clock: Clock, caches: Caches | None, clients: Clients | None = None
) -> tuple[Phase, ...]:
    training = opened.settings.training
    largest = max(clients.sizes) if clients else clock.examples
    extent = planning.Extent(
        batches=clock.steps,
        micro_batches=planning.micro_batches(training, largest),
        epoch=clock.epoch,
        recorded=caches is not None and has_most(opened, caches.train),
        clients=clients.batches(training.batch_size) if clients else (),
    )
    return planning.plan_run(opened, extent)


def order_of(opened: Opened, lengths: Sequence[int]) -> Order:
    """The order of training examples of these lengths.

    Beside a frozen model an example keeps its place in the batch, since what is stored of it lies
    on the rank that trains that place.
    """
    training = opened.settings.training
    size = planning.micro_batches(training, len(lengths))
    make = dealt if opened.settings.adapter.kind == "parallel" else shuffled
    return make(lengths, training.batch_size, size, training.seed)


def _passes(opened: Opened, surveys: Mapping[Split, Survey]) -> dict[Split, tuple[Batch, ...]]:
    """For each split the micro-batches of one pass over it, as every rank numbers them."""
    training = opened.settings.training
    lengths = surveys["train"].lengths
    order = order_of(opened, lengths)
    batches = range(-(-len(lengths) // min(training.batch_size, len(lengths))))
    return {
        "train": tuple(part for k in batches for part in order.batch(k)),
        "validation": portions(surveys["validation"].lengths, training.micro_batch_size),
    }


def _clock(training: TrainingSettings, examples: int) -> Clock:
    return Clock(
        examples,
        training.batch_size,
        training.epochs,
        training.max_steps,
        training.evaluate_every,
    )
