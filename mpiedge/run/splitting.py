"""What a split run trains on: micro-batches of what devices sent, or of what was kept of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mpiedge.comm.compression import compressed
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.pipeline.feed import Order, entries_of
from mpiedge.pipeline.portion import MicroBatch
from mpiedge.run.arriving import Arriving, Replayed, Rows, sent
from mpiedge.run.dealing import Deal
from mpiedge.run.forward import Forward
from mpiedge.run.given import Given
from mpiedge.run.intake import Intake
from mpiedge.run.leaving import leave_asked
from mpiedge.run.phases import Entered
from mpiedge.run.pool import Pool, order_of
from mpiedge.run.preparing import Prepared
from mpiedge.run.rounds import Format, Rounds
from mpiedge.run.uplink import Cuts, Messages, Terms, Uplink
from mpiedge.strategy.roles import SERVER, roles
from mpiedge.strategy.strategy import Source
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded

_BLANK = Encoded((0,), (), (0,), 0)


class SplitFeed:
    """Makes the server's micro-batches; an example is known by its label and its length."""

    def __init__(self, run: Prepared, intake: Intake, pool: Pool, rows: Rows) -> None:
        self._opened, self._size = run.opened, run.size
        self._intake, self._pool, self._rows = intake, pool, rows
        self._order = order_of(run.opened.settings, pool, run.size)
        self._batch, self._brought = -1, set[int]()

    def __call__(self, number: int) -> MicroBatch:
        """Micro-batch ``number`` of the run; an empty one of rows that count nothing."""
        batch, index = divmod(number, self._size)
        if batch != self._batch:
            self._batch, self._brought = batch, set()
        numbers = self._rows.bring(self._order.batch(batch)[index])
        self._brought.update(numbers)
        answers = [self._intake.answers[n] for n in numbers]
        inputs, blueprint = self._opened.task.collate(answers or [_BLANK]), self._opened.blueprint
        entries = entries_of(inputs, blueprint.bridge)
        del entries[0]
        if numbers:
            hidden, scale = self._rows.placed(inputs.mask), 1.0 / max(1, self._units(batch))
        else:
            hidden, scale = torch.zeros(*inputs.mask.shape, blueprint.config.hidden_size), 0.0
        return MicroBatch(inputs.mask, entries, inputs.labels, scale, hidden.to(blueprint.dtype))

    def _units(self, batch: int) -> int:
        """The terms of a batch's loss, as far as its examples came or will come."""
        numbers = (n for part in self._order.batch(batch) for n in part)
        there = (n for n in numbers if n in self._brought or not self._rows.gone(n))
        return sum(self._pool.units[n] for n in there)


@contextmanager
def splitting(run: Prepared, here: Entered, updates: range) -> Iterator[Given]:
    """What the engine is given in these updates of a split run."""
    pool, intake = run.pool, run.intake
    assert pool is not None
    assert intake is not None
    serves = run.opened.transport.rank == SERVER
    if here.phase.source is Source.REPLAY:
        left = open_tokenizer(run.opened.settings.model.name).padding_side == "left"
        due = _needed(order_of(run.opened.settings, pool, run.size), updates, intake)
        with intake.replayed(due if serves else [], left) as replays:
            yield Given(SplitFeed(run, intake, pool, Replayed(replays, intake)))
        return
    settings = run.opened.settings.strategy
    with leave_asked(not serves and settings.on_loss == "continue") as asked:
        terms = Terms(settings.credits, asked.is_set, run.say)
        uplink = _uplink(run, here, pool, terms)
        uplink.record = here.phase.source is Source.RECORD
        arriving = Arriving(uplink, intake, _home(run, pool))
        yield Given(SplitFeed(run, intake, pool, arriving), begin=uplink.begin)
    if uplink.record:
        intake.finish()


def _needed(order: Order, updates: range, intake: Intake) -> list[Batch]:
    # Worked out beforehand: the thread that reads ahead must not share the order of examples.
    every = (sent(intake, numbers) for update in updates for numbers in order.batch(update))
    return [numbers for numbers in every if numbers]


def _home(run: Prepared, pool: Pool) -> Callable[[int], int]:
    """The rank of an example."""
    home = roles(run.opened.settings.strategy, run.opened.transport.size).home
    return lambda number: home(pool.clients[number])


def _uplink(run: Prepared, here: Entered, pool: Pool, terms: Terms) -> Uplink:
    opened, settings = run.opened, run.opened.settings
    assert run.intake is not None
    deal = Deal(
        order=order_of(settings, pool, run.size),
        home=_home(run, pool),
        size=settings.training.micro_batch_size,
    )
    ranks = {stage.rank: stage.layers for stage in here.phase.feeders}
    cuts = Cuts(ranks, settings.adapter.lowest - 1, Forward(opened, here, pool))
    how, keep = settings.comm.compression, settings.comm.keep
    if settings.strategy.aggregation == "gather":
        form = Format(
            pool, opened.blueprint.config.hidden_size, opened.blueprint.dtype, (how, keep)
        )
        return Rounds(opened.transport, deal, cuts, run.intake, form)
    transport = compressed(opened.transport, how, keep)
    return Messages(transport, deal, cuts, run.intake, terms)
