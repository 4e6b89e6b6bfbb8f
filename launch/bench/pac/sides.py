"""Epochs of one rank in this process, all over the same examples, one side after the other.

lora        through the model and back
computed    the model, nothing kept, and the side network
recorded    the model, written to the disk, and the side network
from disk   the side network alone, read ahead by a thread
from memory the side network alone
"""

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from mpiedge.comm.threads import alone
from mpiedge.pipeline.feed import Feed
from mpiedge.pipeline.portion import Portion
from mpiedge.pipeline.recording import Recording, Replaying
from mpiedge.plan.schedule import simulate
from mpiedge.run.first_values import first_values
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.phases import begin
from mpiedge.run.preparing import prepare
from mpiedge.run.progress import Silent
from mpiedge.store.cache import ActivationCache
from mpiedge.store.prefetch import Prefetch

EPOCHS = 10_000  # never reached: the schedule has to last


class Spent(NamedTuple):
    """Seconds for one example."""

    wall: float
    process: float  # of the processor, all threads
    thread: float  # of the processor, the thread that trains


class Side:
    """A model with its optimizer that can train an epoch of given backbones."""

    def __init__(self, settings):
        self.opened = open_run(settings, alone())
        self.run = prepare(self.opened, Journal(None, Silent()))
        phase, steps = self.run.phases[0], self.run.clock.steps
        self.here = begin(self.opened, phase, steps, first_values(self.opened, phase.plan))
        self.order, self._plan = self.run.order(), phase.plan
        self._feed = Feed(self.opened.task, self.run.examples.train, self.opened.blueprint.bridge)
        self._actions = simulate(self._plan, batches=self.run.clock.epoch).schedule[0]

    def micro_batches(self):
        """The examples of each micro-batch of the first epoch."""
        return [part for k in range(self.run.clock.epoch) for part in self.order.batch(k)]

    def epoch(self, backbones=None, after=lambda: None):
        """Train the first epoch once more; what one example took, ``after`` included."""
        portion = Portion(self._plan, self._actions, 0, self._source, backbones)
        start = time.perf_counter(), time.process_time(), time.thread_time()
        self.here.engine.run(portion, _Nobody())
        after()
        end = time.perf_counter(), time.process_time(), time.thread_time()
        size = len(self.run.examples.train)
        return Spent(*((b - a) / size for a, b in zip(start, end, strict=True)))

    def _source(self, number):
        batch, index = divmod(number, self.run.size)
        return self._feed.micro_batch(self.order.batch(batch), index)


class _Nobody:
    def result(self, number, value):
        """The loss; nobody looks at it."""

    def acted(self):
        """An action is done."""


class Beside(Side):
    """A side network, with and without its model."""

    def __init__(self, settings, folder):
        super().__init__(settings)
        self._folder, self._numbers = folder, count()
        self._kept = self._parts = None
        self._resources = ExitStack()
        self._split = self.run.caches.train
        self.parts = self.micro_batches()

    def computed(self):
        """The model, nothing kept."""
        return self.epoch()

    def recorded(self):
        """The model, everything kept in a new place; until it is on the disk."""
        folder = self._folder / f"record-{next(self._numbers)}"
        cache = ActivationCache(folder, self._split.cache.layout)
        spent = self.epoch(self._recording(cache), cache.finish)
        self._forget(cache, folder)
        return spent

    def prepare_replays(self):
        """Record once, for the disk and for memory."""
        cache = ActivationCache(self._folder / "kept", self._split.cache.layout)
        self.epoch(self._recording(cache), cache.finish)
        with Prefetch(cache, iter(self.parts), self._split.layers) as ahead:
            self._kept = [_own(replay) for replay in ahead]
        self._cache = cache

    def from_disk(self):
        """From files that the system has in memory."""
        with Prefetch(self._cache, iter(self.parts), self._split.layers) as ahead:
            return self.epoch(self._replaying(ahead))

    def from_cold_disk(self):
        """From files that the system has not in memory."""
        for path in (self._folder / "kept").glob("*.h5"):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        return self.from_disk()

    def from_memory(self):
        """From tensors."""
        return self.epoch(self._replaying(iter(self._kept)))

    def close(self):
        """Remove what was recorded."""
        self._forget(self._cache, self._folder / "kept")
        self.run.caches.close()

    def _recording(self, cache):
        return Recording(cache, self._split.survey.targets, self.parts.__getitem__)

    def _replaying(self, replays):
        layout = self._split.cache.layout
        return Replaying(replays, layout, self._split.survey.targets, self.parts.__getitem__)

    @staticmethod
    def _forget(cache, folder):
        cache.close()
        shutil.rmtree(folder)


def _own(replay):
    return replace(replay, hidden=tuple(hidden.clone() for hidden in replay.hidden))


def measure(setup, rounds, say):
    """Every side in turn, several times: what one example took in each epoch."""
    lora = Side(setup.settings("lora", epochs=EPOCHS))
    beside = Beside(setup.settings("parallel", "pac", epochs=EPOCHS), setup.folder)
    beside.prepare_replays()
    sides = {
        "lora": lora.epoch,
        "computed": beside.computed,
        "recorded": beside.recorded,
        "from disk": beside.from_disk,
        "from memory": beside.from_memory,
        "from cold disk": beside.from_cold_disk,
    }
    often = {"from disk": 3, "from memory": 3, "from cold disk": 1}
    spent = {name: [] for name in sides}
    for number in range(rounds):
        for turn in range(max(often.values())):
            for name, epoch in sides.items():
                if turn < often.get(name, 1):
                    spent[name].append(epoch())
        line = {name: f"{1e3 * found[-1].wall:.1f}" for name, found in spent.items()}
        say(f"round {number + 1}, ms an example: {line}")
    beside.close()
    return spent
