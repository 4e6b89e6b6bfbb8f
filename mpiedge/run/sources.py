"""What the engine is given in a phase: the micro-batches that enter, and what is kept of them.

Apart from training, which only needs to know that there is something to train on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mpiedge.pipeline.feed import Feed
from mpiedge.pipeline.portion import MicroBatch
from mpiedge.run.abreast import abreast, in_turn
from mpiedge.run.allotting import Work
from mpiedge.run.backbones import Visits, backbones
from mpiedge.run.clients import ClientFeed, Rota
from mpiedge.run.cooperating import Cooperation
from mpiedge.run.copies import Copies
from mpiedge.run.given import Given, nothing
from mpiedge.run.phases import Entered
from mpiedge.run.preparing import Prepared
from mpiedge.run.splitting import splitting
from mpiedge.strategy import strategy
from mpiedge.strategy.roles import roles
from mpiedge.strategy.strategy import Phase, Rounds
from mpiedge.task.sampler import Batch


@contextmanager
def sources(run: Prepared, here: Entered, updates: range) -> Iterator[Given]:
    """What is needed for these updates of the run."""
    phase = here.phase
    if run.pool is not None:
        with splitting(run, here, updates) as given:
            yield given
        return
    if run.clients is not None:
        with _of_clients(run, here, updates) as given:
            yield given
        return
    cache = run.caches.train if run.caches else None
    layers = phase.plan.layers_of(run.opened.transport.rank)
    visits = Visits(layers, _examples(run), lambda: _visited(run, phase, updates))
    with backbones(run.opened, phase.source, cache, visits, run.examples.train) as made:
        yield Given(_feeding(run), made)


@contextmanager
def _of_clients(run: Prepared, here: Entered, updates: range) -> Iterator[Given]:
    assert run.clients is not None
    phase = here.phase
    if phase.rounds is not Rounds.NONE:
        made = Work(run.clock.steps, run.size, run.before)
        together = Cooperation(run.opened, here, run.clients, made)
        allotting = together.allotting
        yield Given(nothing, rounds=together.rounds, facts=allotting.facts, noted=allotting.noted)
        return
    if phase.plan.apart:
        yield _apart(run, here)
        return
    rota = Rota(run.opened, run.clients, run.size)
    feed, kept = ClientFeed(run.opened, run.clients, rota, run.size), run.entrances
    if kept is None or phase.source is strategy.Source.COMPUTE:
        yield Given(feed)
    elif phase.source is strategy.Source.RECORD:
        with kept.recording(phase.entrances) as recording:
            yield Given(feed, recording)
    else:
        numbers = range(updates.start * run.size, updates.stop * run.size)
        with kept.replaying(phase.plan, numbers) as replays:
            yield Given(replays, answers=feed)


def _apart(run: Prepared, here: Entered) -> Given:
    """Where each client has adapters of its own, which are averaged now and then."""
    assert run.clients is not None
    opened, every, count = run.opened, here.phase.average_every, len(run.clients.sizes)
    home = roles(opened.settings.strategy, opened.transport.size).home
    copies = Copies(opened.transport, here, tuple(map(home, range(count))))
    if run.resumed is not None:
        copies.resume(run.resumed)
    made = abreast if opened.settings.strategy.visits == "parallel" else in_turn

    def begin(updates: range) -> None:
        if updates.start and updates.start % every == 0:
            copies.average()

    source = made(opened, run.clients, run.size, copies)
    return Given(source, begin=begin, settle=copies.show, apart=copies.keep)


def _visited(run: Prepared, phase: Phase, updates: range) -> Iterator[Batch]:
    """The examples of the micro-batches that this rank takes part in, one after the other."""
    rank, examples = run.opened.transport.rank, _examples(run)
    for number in range(updates.start * run.size, updates.stop * run.size):
        if any(stage.rank == rank for stage in phase.plan.route(number)):
            yield examples(number)


def _examples(run: Prepared) -> Callable[[int], tuple[int, ...]]:
    """The examples of every micro-batch of the run."""
    order, size = run.order(), run.size

    def examples(number: int) -> tuple[int, ...]:
        batch, index = divmod(number, size)
        return order.batch(batch)[index]

    return examples


def _feeding(run: Prepared) -> Callable[[int], MicroBatch]:
    order, size = run.order(), run.size
    feed = Feed(run.opened.task, run.examples.train, run.opened.blueprint.bridge)

    def source(number: int) -> MicroBatch:
        batch, index = divmod(number, size)
        return feed.micro_batch(order.batch(batch), index)

    return source
