"""How long this rank's device takes for one layer of each kind, and how fast its disk reads.

Layers of one kind are alike, so one of each is loaded and timed, whatever the model's depth.
Seconds are fitted as a start and so much for each token (our design), over micro-batches of the
lengths that the run's examples have.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mpiedge.comm.threads import alone
from mpiedge.model.activation import Activation, entrance
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.pipeline.feed import entries_of
from mpiedge.pipeline.optimize import Update
from mpiedge.plan.cluster import Pace, Passes, kinds_of
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.run.opening import Opened
from mpiedge.run.planning import row_of
from mpiedge.run.stopwatch import Stopwatch
from mpiedge.store.layout import Counts
from mpiedge.task.task import Inputs

_QUANTILES = (0.1, 0.5, 0.9, 1.0)  # of the examples' lengths
_FILE = 32 * 2**20  # bytes that are read from the disk

Size = tuple[int, ...]
"""Rows, their length, and with a task that generates text the length of what is generated."""


class _Timed(NamedTuple):
    """One layer at one size."""

    tokens: int
    forward: float  # seconds
    backward: float
    replay: float  # of the forward pass when the model's part of it is read back


def layer_times(opened: Opened, timed: Sequence[Size]) -> dict[str, Passes]:
    """Seconds of each kind of layer in the run's model, on its device.

    Those of the passes are fitted over micro-batches of the ``timed`` sizes.
    """
    blueprint = opened.blueprint
    kinds = kinds_of(blueprint.num_layers, blueprint.bridge)
    chosen = {kind: kinds.index(kind) for kind in dict.fromkeys(kinds)}
    seed = opened.settings.training.seed
    shard = load(blueprint, chosen.values(), opened.device, tuned=opened.tuned, seed=seed)
    shard.train()
    clock = Stopwatch(shard)
    found: dict[str, list[_Timed]] = {kind: [] for kind in chosen}
    for size in timed:
        tokens = row_of(opened, size).tokens
        for kind, *seconds in _chain(opened, clock, chosen, size):
            found[kind].append(_Timed(tokens[chosen[kind]], *seconds))
    return {
        kind: Passes(
            forward=_line(each, [one.forward for one in each]),
            backward=_line(each, [one.backward for one in each]),
            replay=_line(each, [one.replay for one in each]),
            update=_update(opened, clock, chosen[kind]),
        )
        for kind, each in found.items()
    }


def _line(timed: Sequence[_Timed], seconds: Sequence[float]) -> Pace:
    return fitted([one.tokens for one in timed], seconds)


def sizes(opened: Opened, examples: Sequence[Counts]) -> list[Size]:
    """The micro-batches that are timed: of examples from short to long, and one row of them.

    Times of much longer ones would say little: what a pass takes is no line over all lengths.
    """
    training, decodes = opened.settings.training, opened.purpose is Purpose.SEQ2SEQ
    rows = training.micro_batch_size or training.batch_size
    columns = [[one.source for one in examples]]
    columns += [[one.target for one in examples]] if decodes else []
    each = [np.quantile(column, _QUANTILES, method="nearest").tolist() for column in columns]
    lengths = list(zip(*each, strict=True))
    return list(dict.fromkeys([*((rows, *one) for one in lengths), (1, *lengths[-2])]))


def fitted(tokens: Sequence[float], seconds: Sequence[float]) -> Pace:
    """The start and the seconds a token, neither below 0, by least squares of relative errors."""
    each = np.divide(seconds, tokens)
    if len(set(tokens)) == 1:
        return Pace(0.0, float(each.mean()))
    slope, start = np.polyfit(tokens, seconds, 1, w=np.reciprocal(tokens, dtype=float))
    if slope < 0:
        return Pace(float(np.mean(seconds)), 0.0)
    if start < 0:
        return Pace(0.0, float(each.mean()))
    return Pace(float(start), float(slope))


def read_speed(folder: Path) -> float:
    """Bytes a second that the disk of a folder reads; 0 where the system keeps files in memory.

    Only Linux can be told to forget what was just written.
    """
    if sys.platform != "linux":
        return 0.0
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(os.urandom(_FILE))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        start = time.perf_counter()
        file.read()
        return _FILE / (time.perf_counter() - start)


def _chain(
    opened: Opened, clock: Stopwatch, chosen: dict[str, int], size: Size
) -> list[tuple[str, float, float, float]]:
    """Each kind's layer in the order of the model, given what the one before has made.

    Seconds of its forward pass, its backward pass, and its forward pass in a replay.
    """
    inputs, shard = _inputs(opened, size), clock.shard
    bridge = opened.blueprint.bridge
    entries = {
        layer: tuple(tensor.to(shard.device) for tensor in entry)
        for layer, entry in entries_of(inputs, bridge).items()
    }
    x, found = entrance(inputs.mask.to(shard.device)), []
    for kind, layer in chosen.items():
        part = range(layer, layer + 1)
        with torch.no_grad():
            forward = clock.seconds(partial(shard, x, part, entries))
            y: Activation = shard(x, part, entries)
        beside = y.side.numel() > 0 and kind != "head"
        kept = y.hidden if beside else None
        replay, both = _alone(clock, partial(shard, layers=part, entries=entries), x, kept)
        replay = replay if beside else forward
        found.append((kind, forward, max(0.0, both - replay), replay))
        x = y
    return found


def _alone(
    clock: Stopwatch, layer: Callable[..., Activation], x: Activation, kept: Tensor | None
) -> tuple[float, float]:
    """Seconds of a layer's forward pass, and of both passes; with ``kept`` those in a replay."""

    def read(_: int, masked: Activation, __: object) -> Activation:
        assert kept is not None
        return masked._replace(hidden=kept)

    backbone = None if kept is None else read

    def both() -> None:
        y = layer(_open(x), backbone=backbone)
        made = y.hidden if kept is None else y.side
        if made.requires_grad:
            torch.autograd.backward([made.float().sum()])

    model = kept is None
    with torch.no_grad():
        forward = clock.seconds(partial(layer, x, backbone=backbone), model=model)
    return forward, clock.seconds(both, model=model)


def _open(x: Activation) -> Activation:
    """The same with gradients that will pass: beside a side network through it alone."""
    beside = x.side.numel() > 0
    names = ("side", "encoded_side") if beside else ("hidden", "encoded")
    tensors = x._asdict()
    wanted = {n: tensors[n].detach().requires_grad_() for n in names if tensors[n].numel()}
    return x._replace(**wanted)


def _inputs(opened: Opened, size: Size) -> Inputs:
    """A micro-batch of arbitrary tokens, without padding."""
    rows, length, *target = size
    words = int(opened.blueprint.config.vocab_size)
    generator = torch.Generator().manual_seed(0)

    def drawn(count: int) -> torch.Tensor:
        return torch.randint(words, (rows, count), generator=generator)

    tokens = drawn(length)
    return Inputs(
        tokens=tokens,
        mask=torch.ones_like(tokens),
        types=torch.zeros_like(tokens),
        decoder_tokens=drawn(target[0] if target else length),
        labels=torch.empty(0),
    )


def _update(opened: Opened, clock: Stopwatch, layer: int) -> float:
    """Seconds of an optimizer step for what is tuned of a layer, with the clipping before it."""
    names = opened.blueprint.parameters(layer).keys()
    tuned = {n: p for n, p in clock.shard.tuned_parameters().items() if n in names}
    if not tuned:
        return 0.0
    stage = Stage(0, range(layer, layer + 1), frozenset([layer]))
    plan = PartitionPlan(((stage,),), (0,))
    update = Update(alone(1.0), clock.shard, opened.settings.training, steps=1)

    def work() -> None:
        for parameter in tuned.values():
            parameter.grad = torch.zeros_like(parameter)
        update(plan, 0)

    return clock.seconds(work, model=False)
