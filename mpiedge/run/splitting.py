"""What a split run trains on: micro-batches of what devices sent, or of what was kept of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from mpiedge.comm.compression import compressed
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.pipeline.engine import MicroBatch
from mpiedge.pipeline.feed import Order, entries_of
from mpiedge.pipeline.smashed import padded
from mpiedge.run.dealing import Deal
from mpiedge.run.forward import Forward
from mpiedge.run.given import Given
from mpiedge.run.phases import Entered
from mpiedge.run.pool import Pool, order_of
from mpiedge.run.preparing import Prepared
from mpiedge.run.rounds import Format, Rounds
from mpiedge.run.uplink import Cuts, Messages, Uplink
from mpiedge.strategy.roles import SERVER, roles
from mpiedge.strategy.strategy import Source
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded

Rows = Callable[[Batch], Callable[[Tensor], Tensor]]
"""Brings some examples; gives what enters the trained layers for them, padded as a mask says."""

_BLANK = Encoded((0,), (), (0,), 0)


class SplitFeed:
    """Makes the server's micro-batches; an example is known by its label and its length."""

    def __init__(self, run: Prepared, rows: Rows) -> None:
        assert run.pool is not None
        assert run.intake is not None
        self._run, self._pool, self._intake, self._rows = run, run.pool, run.intake, rows
        self._order = order_of(run.opened.settings, run.pool, run.size)

    def __call__(self, number: int) -> MicroBatch:
        """Micro-batch ``number`` of the run; an empty one of rows that count nothing."""
        batch, index = divmod(number, self._run.size)
        portions = self._order.batch(batch)
        numbers, opened = portions[index], self._run.opened
        placed = self._rows(numbers) if numbers else None
        inputs = opened.task.collate([self._intake.answers[n] for n in numbers] or [_BLANK])
        entries = entries_of(inputs, opened.blueprint.bridge)
        del entries[0]
        width, dtype = opened.blueprint.config.hidden_size, opened.blueprint.dtype
        hidden = torch.zeros(*inputs.mask.shape, width)
        scale = 0.0
        if placed is not None:
            hidden = placed(inputs.mask)
            units = sum(self._pool.units[n] for portion in portions for n in portion)
            scale = 1.0 / max(1, units)
        return MicroBatch(inputs.mask, entries, inputs.labels, scale, hidden.to(dtype))


@contextmanager
def splitting(run: Prepared, here: Entered, updates: range) -> Iterator[Given]:
    """What the engine is given in these updates of a split run."""
    assert run.pool is not None
    assert run.intake is not None
    if here.phase.source is Source.REPLAY:
        with _replaying(run, run.pool, updates) as given:
            yield given
        return
    uplink = _uplink(run, here, run.pool)
    uplink.record = here.phase.source is Source.RECORD
    intake = run.intake

    def rows(numbers: Batch) -> Callable[[Tensor], Tensor]:
        for number in numbers:
            uplink.fetch(number)
        return partial(padded, intake.take(numbers))

    yield Given(SplitFeed(run, rows), begin=uplink.begin)
    if uplink.record:
        intake.finish()


@contextmanager
def _replaying(run: Prepared, pool: Pool, updates: range) -> Iterator[Given]:
    assert run.intake is not None
    if run.opened.transport.rank != SERVER:
        yield Given(_nothing)
        return
    order = order_of(run.opened.settings, pool, run.size)
    left = open_tokenizer(run.opened.settings.model.name).padding_side == "left"
    with run.intake.replayed(_needed(order, updates), left) as replays:

        def rows(numbers: Batch) -> Callable[[Tensor], Tensor]:
            replay = next(replays)
            return partial(replay.padded, replay.layers.start)

        yield Given(SplitFeed(run, rows))


def _needed(order: Order, updates: range) -> list[Batch]:
    # Worked out beforehand: the thread that reads ahead must not share the order of examples.
    return [numbers for update in updates for numbers in order.batch(update) if numbers]


def _nothing(number: int) -> MicroBatch:
    raise AssertionError(f"micro-batch {number} does not enter here")


def _uplink(run: Prepared, here: Entered, pool: Pool) -> Uplink:
    opened = run.opened
    settings = opened.settings
    assert run.intake is not None
    home = roles(settings.strategy, opened.transport.size).home
    deal = Deal(
        order=order_of(settings, pool, run.size),
        home=lambda number: home(pool.clients[number]),
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
    return Messages(transport, deal, cuts, run.intake, settings.strategy.credits)
