"""Frozen layers run on examples, or on what another rank made of them, with nothing kept.

What a device does in split learning with a frozen front, and how the server brings what comes from
a shallower cut to the deepest one.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.family import Entry
from mpiedge.pipeline.feed import entries_of
from mpiedge.pipeline.smashed import Smashed, blanked, padded
from mpiedge.pipeline.spans import Doing, Noted
from mpiedge.run.opening import Opened
from mpiedge.run.phases import Entered
from mpiedge.run.pool import Pool
from mpiedge.task.sampler import Batch


class Forward:
    """This rank's frozen layers; time spent in them counts as computed."""

    def __init__(self, opened: Opened, here: Entered, pool: Pool) -> None:
        self._task, self._here, self._pool = opened.task, here, pool
        self._telemetry = opened.transport.telemetry
        self._spans = opened.spans
        # Also before anything is trained here, nothing frozen may drop out.
        here.shard.still = here.phase.plan.still
        # On a rank that trains too, what is cached inside a layer must stay fit for training.
        trains = here.phase.plan.layers_of(opened.transport.rank)
        self._mode: Callable[[], torch.no_grad | torch.inference_mode] = (
            torch.no_grad if trains else torch.inference_mode
        )

    def made(self, numbers: Batch, layers: range) -> Smashed:
        """What ``layers``, from the embedding on, make of examples of this rank."""
        examples = [self._pool.examples[n] for n in numbers]
        inputs = self._task.collate(examples)
        entries = {0: entries_of(inputs, None)[0]}
        hidden = self._run(entrance(inputs.mask), layers, entries)
        answers = tuple(blanked(example) for example in examples)
        return Smashed(numbers, answers, hidden[inputs.mask != 0][None])

    def raised(self, smashed: Smashed, layers: range) -> Smashed:
        """The same examples behind further ``layers``; there may be none."""
        if not layers:
            return smashed
        mask = self._task.collate(smashed.answers).mask
        x = entrance(mask)._replace(hidden=padded(smashed.rows(), mask))
        hidden = self._run(x, layers, {})
        return smashed._replace(hidden=hidden[mask != 0][None])

    def _run(self, x: Activation, layers: range, entries: dict[int, Entry]) -> Tensor:
        shard, start = self._here.shard, time.perf_counter()
        device = shard.device
        entries = {i: tuple(each.to(device) for each in entry) for i, entry in entries.items()}
        with self._mode():
            moved = Activation(*(tensor.to(device) for tensor in x))
            hidden: Tensor = shard(moved, layers, entries).hidden.cpu()
        end = time.perf_counter()
        self._here.engine.busy += end - start
        self._telemetry.examples += len(x.mask)
        if self._spans is not None:
            first, last = layers.start, layers.stop - 1
            self._spans.note(Noted(Doing.FRONT, start, end, first=first, last=last))
        return hidden
