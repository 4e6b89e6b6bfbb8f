"""What a training run needs before its first update: a plan, the examples, the caches.

After this nothing that a user gave can be wrong.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mpiedge.comm.values import collectively, decided
from mpiedge.errors import Stopped
from mpiedge.pipeline.feed import Order
from mpiedge.run import planning
from mpiedge.run.allotting import Allotting, Work
from mpiedge.run.caching import Caches, check_room, has_most, open_caches
from mpiedge.run.clients import Clients, Rota, check_none, homes, read_clients
from mpiedge.run.clock import Clock
from mpiedge.run.entrances import Entrances
from mpiedge.run.evaluation import portions
from mpiedge.run.examples import Examples, Survey, count, read, survey
from mpiedge.run.extent import clients_clock, clock_of, order_of
from mpiedge.run.intake import Intake
from mpiedge.run.journal import Journal
from mpiedge.run.kept import Kept
from mpiedge.run.opening import Opened
from mpiedge.run.pool import Pool, pooled
from mpiedge.run.resuming import Resumed
from mpiedge.strategy.registry import AT_CLIENTS, POOLING, RECORDING
from mpiedge.strategy.roles import SERVER
from mpiedge.strategy.strategy import Phase, Rounds, Source
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
    pool: Pool | None = None  # all examples, where clients' are trained on together
    intake: Intake | None = None  # what has come of them to the server
    smashed: Kept | None = None  # what is kept of that
    resumed: Resumed | None = None  # the checkpoint that the run goes on from
    say: Callable[[str], object] = str  # a sentence for the user, while the run goes on

    @property
    def stored(self) -> int:
        """Bytes of activations on this rank's disk."""
        return sum(kept.stored for kept in self._stores if kept is not None)

    @property
    def _stores(self) -> tuple[Caches | Entrances | Kept | None, ...]:
        return self.caches, self.entrances, self.smashed

    @contextmanager
    def kept(self) -> Iterator[None]:
        """For as long as activations are kept on the disk; afterwards they are removed.

        Those in caches stay where the run is to go on.
        """
        with ExitStack() as stack:
            for kept in self._stores:
                if kept is not None and kept is not self.caches:
                    stack.callback(kept.close)
            if self.caches is not None:
                stack.push(self._caches_left)
            yield

    def _caches_left(self, kind: type[BaseException] | None, *_: object) -> None:
        """Remove what is in the caches, unless this run is to go on."""
        assert self.caches is not None
        if kind is not None and issubclass(kind, Stopped):
            self.caches.let_go()
        else:
            self.caches.close()

    @property
    def before(self) -> Mapping[str, Any]:
        """What ``Given.noted`` gave to the checkpoint."""
        found: Mapping[str, Any] = self.resumed.facts.get("given", {}) if self.resumed else {}
        return found

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
    if opened.settings.strategy.name in POOLING:
        return _pooling(opened, journal)
    if opened.settings.strategy.name in AT_CLIENTS:
        return _at_clients(opened, journal)
    collectively(transport, lambda: check_none(opened.settings))
    counts = count(opened)
    clock = clock_of(training, counts.train)
    # What is never read back is only recorded for a later run.
    wanted = clock.steps > clock.epoch or opened.settings.cache.keep
    records = opened.settings.strategy.name in RECORDING and wanted
    surveys: dict[Split, Survey] = {s: survey(opened, s) for s in _SPLITS if records}
    caches = open_caches(opened, surveys, passes(opened, surveys)) if records else None
    with ExitStack() as undo:
        if caches is not None:
            undo.callback(caches.close)
        phases = _planned(opened, clock, caches)
        # Only ranks where routes start need the data, and rank 0 has read it.
        notes = opened.task.notes if transport.rank == 0 else ()
        for line in (*notes, *planning.described(opened, phases)):
            journal.say(line)
        examples = read(opened, frozenset().union(*map(_readers, phases)), counts)
        if caches is not None:
            check_room(opened, caches, phases)
        undo.pop_all()
    lengths = surveys["train"].lengths if records else tuple(e.length for e in examples.train)
    return Prepared(opened, clock, phases, examples, lengths, caches)


def _readers(phase: Phase) -> frozenset[int]:
    """The ranks that need examples: to begin with, or to make again what was stored of them."""
    return frozenset(phase.plan.ranks) if phase.source is Source.REPLAY else phase.plan.starts


def _at_clients(opened: Opened, journal: Journal) -> Prepared:
    """The same where examples stay with their clients, which read them themselves."""
    settings = opened.settings
    files = settings.task.client_files
    counts = count(opened, ("validation",) if files else ("train", "validation"))
    examples = read(opened, homes(opened) | {SERVER}, counts)
    clients = read_clients(opened, examples.train, lengths=settings.strategy.prefix_cache)
    clock = clients_clock(settings, clients.sizes)
    phases = _planned(opened, clock, None, clients)
    size = len(phases[0].plan.micro_batches)
    for line in (*planning.described(opened, phases), *_round(opened, phases, clients)):
        journal.say(line)
    entrances = None
    if phases[0].entrances:
        entrances = Entrances(opened, clients, Rota(opened, clients, size), size)
        with ExitStack() as undo:
            undo.callback(entrances.close)
            entrances.check_room(phases)
            undo.pop_all()
    return Prepared(opened, clock, phases, examples, (), None, clients, entrances)


def _round(opened: Opened, phases: Sequence[Phase], clients: Clients) -> list[str]:
    """The first round in words, where there are rounds; raises BadInput where none can be."""
    kind, work = phases[0].rounds, Work(phases[0].batches, len(phases[0].plan.micro_batches))
    if kind is Rounds.NONE:
        return []
    first = decided(opened.transport, lambda: Allotting(opened, kind, clients.sizes, work).first())
    return [str(line) for line in first]


def _pooling(opened: Opened, journal: Journal) -> Prepared:
    """The same where clients' examples are trained on together, as what their devices make."""
    settings, training = opened.settings, opened.settings.training
    files = settings.task.client_files
    counts = count(opened, ("validation",) if files else ("train", "validation"))
    read_here = read(opened, homes(opened) | {SERVER}, counts)
    clients = read_clients(opened, read_here.train, lengths=False)
    pool = pooled(opened, clients)
    clock = clock_of(training, len(pool.lengths))
    extent = planning.Extent(
        batches=clock.steps,
        micro_batches=planning.micro_batches(training, clock.examples),
        epoch=clock.epoch,
        examples=clients.sizes,
    )
    phases = planning.plan_run(opened, extent)
    for line in planning.described(opened, phases):
        journal.say(line)
    smashed = Kept(opened, "split") if phases[0].entrances else None
    if smashed is not None:
        with ExitStack() as undo:
            undo.callback(smashed.close)
            smashed.check_room(pool.tokens, opened.transport.rank == SERVER)
            undo.pop_all()
    intake = Intake(opened.task, settings.adapter.lowest - 1, smashed)
    examples = replace(read_here, train=())
    return Prepared(
        opened,
        clock,
        phases,
        examples,
        (),
        None,
        pool=pool,
        intake=intake,
        smashed=smashed,
        say=journal.say,
    )


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


def passes(opened: Opened, surveys: Mapping[Split, Survey]) -> dict[Split, tuple[Batch, ...]]:
    """For each split the micro-batches of one pass over it, as every rank numbers them."""
    training = opened.settings.training
    lengths = surveys["train"].lengths
    order = order_of(opened, lengths)
    batches = range(-(-len(lengths) // min(training.batch_size, len(lengths))))
    return {
        "train": tuple(part for k in batches for part in order.batch(k)),
        "validation": portions(surveys["validation"].lengths, training.micro_batch_size),
    }
