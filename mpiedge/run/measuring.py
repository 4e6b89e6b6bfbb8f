"""How long this rank's device takes for one layer of each kind, and how fast its disk reads.

Layers of one kind are alike, so one of each is loaded and timed, whatever the model's depth.
Seconds are fitted as a start and so much for each token (our design), over micro-batches of
several sizes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from mpiedge.pipeline.feed import entries_of
from mpiedge.plan.cluster import Pace, Passes, kinds_of
from mpiedge.run.opening import Opened
from mpiedge.run.planning import row_of
from mpiedge.task.task import Inputs

_RUNS = 5  # of which the median counts, after one that does not
_PARTS = (1, 2, 8)  # of the greatest length; examples are often much shorter
_FILE = 32 * 2**20  # bytes that are read from the disk

Size = tuple[int, ...]
"""Rows, their length, and with a task that generates text the length of what is generated."""


class _Timed(NamedTuple):
    """One layer at one size."""

    tokens: int
    forward: float  # seconds
    backward: float


def layer_times(opened: Opened) -> dict[str, Passes]:
    """Forward and backward seconds of each kind of layer in the run's model, on its device."""
    blueprint = opened.blueprint
    kinds = kinds_of(blueprint.num_layers, blueprint.bridge)
    chosen = {kind: kinds.index(kind) for kind in dict.fromkeys(kinds)}
    seed = opened.settings.training.seed
    shard = load(blueprint, chosen.values(), opened.device, tuned=opened.tuned, seed=seed)
    shard.train()
    found: dict[str, list[_Timed]] = {kind: [] for kind in chosen}
    for size in sizes(opened):
        tokens = row_of(opened, size).tokens
        for kind, forward, backward in _chain(opened, shard, chosen, size):
            found[kind].append(_Timed(tokens[chosen[kind]], forward, backward))
    return {
        kind: Passes(
            fitted([one.tokens for one in each], [one.forward for one in each]),
            fitted([one.tokens for one in each], [one.backward for one in each]),
        )
        for kind, each in found.items()
    }


def sizes(opened: Opened) -> list[Size]:
    """The micro-batches that are timed: the largest, shorter ones, and one row of it."""
    task, training = opened.settings.task, opened.settings.training
    rows = training.micro_batch_size or training.batch_size
    target = (task.max_target_length,) if opened.purpose is Purpose.SEQ2SEQ else ()
    lengths = (task.max_length, *target)
    every = [(rows, *(max(1, length // part) for length in lengths)) for part in _PARTS]
    return list(dict.fromkeys([*every, (1, *lengths)]))


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
    opened: Opened, shard: Shard, chosen: dict[str, int], size: Size
) -> list[tuple[str, float, float]]:
    """Each kind's layer in the order of the model, given what the one before has made."""
    inputs = _inputs(opened, size)
    bridge = opened.blueprint.bridge
    entries = {
        layer: tuple(tensor.to(shard.device) for tensor in entry)
        for layer, entry in entries_of(inputs, bridge).items()
    }
    x, found = entrance(inputs.mask.to(shard.device)), []
    for kind, layer in chosen.items():
        part = range(layer, layer + 1)

        def run(x: Activation = x, part: range = part) -> Activation:
            y: Activation = shard(x, part, entries)
            return y

        def both(x: Activation = x, part: range = part, kind: str = kind) -> None:
            y = shard(_open(x), part, entries)
            made = y.side if y.side.numel() and kind != "head" else y.hidden
            if made.requires_grad:
                made.float().sum().backward()

        with torch.no_grad():
            forward = _seconds(shard, run)
        found.append((kind, forward, max(0.0, _seconds(shard, both) - forward)))
        with torch.no_grad():
            x = run()
    return found


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


def _seconds(shard: Shard, work: Callable[[], object]) -> float:
    """The median of some runs; a device that works beside the program is waited for."""
    found = []
    for _ in range(1 + _RUNS):
        start = time.perf_counter()
        work()
        if shard.device.type == "cuda":
            torch.cuda.synchronize(shard.device)
        found.append(time.perf_counter() - start)
        shard.zero_grad(set_to_none=True)
    return median(found[1:])
