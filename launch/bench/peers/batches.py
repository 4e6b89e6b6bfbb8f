"""The model, the micro-batches and the optimizer of a run of mpiedge, for somebody else's loop.

So both sides begin with the same weights and see the same examples in the same order, and differ in
how they compute alone.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch.optim import AdamW

from mpiedge.comm.threads import alone
from mpiedge.config import read
from mpiedge.model.load import load
from mpiedge.pipeline.feed import Feed
from mpiedge.run.examples import survey
from mpiedge.run.extent import order_of
from mpiedge.run.opening import open_run


class Given(NamedTuple):
    """What a loop needs."""

    model: torch.nn.Module  # with LoRA in it, as PEFT puts it there
    order: object
    feed: Feed
    updates: int  # of an epoch
    epochs: int
    settings: object
    longest: int  # tokens


def given(run_file):
    """All of it, from a run file with strategy standalone."""
    opened = open_run(read(Path(run_file)), alone(60.0))
    training = opened.settings.training
    examples, lengths = opened.task.examples("train"), survey(opened, "train").lengths
    blueprint = opened.blueprint
    every = range(blueprint.num_layers)
    shard = load(blueprint, every, tuned=opened.tuned, seed=training.seed)
    shard.tune(opened.tuned)
    shard.train()
    return Given(
        model=shard.model,
        order=order_of(opened, lengths),
        feed=Feed(opened.task, examples, None),
        updates=len(examples) // training.batch_size,
        epochs=training.epochs,
        settings=training,
        longest=max(len(example.tokens) for example in examples),
    )


def portions(one, update):
    """The micro-batches of an update: tokens, mask, labels."""
    batch = one.order.batch(update)
    for index in range(len(batch)):
        found = one.feed.micro_batch(batch, index)
        tokens, types = found.entries[0]
        yield tokens, types, found.mask, found.labels


def optimizer(one, parameters):
    """The same optimizer."""
    training = one.settings
    decay = training.weight_decay
    return AdamW(parameters, lr=training.learning_rate, weight_decay=decay, fused=True)
