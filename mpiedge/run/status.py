"""``status.json`` in the output directory: how a run stands, for any monitor.

The file is always whole and never more than a second behind the updates.  A run that was killed
leaves its last one, so ``time`` says whether somebody still writes.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from mpiedge.run.devices import Device
from mpiedge.run.output import write_json
from mpiedge.run.progress import Step

NAME = "status.json"
_EVERY = 1.0  # seconds between two of updates


class Status:
    """What is known of a run; written on rank 0 only, where there is a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / NAME if folder else None
        self._values: dict[str, Any] = {"state": "", "checkpoint": None}
        self._written = 0.0
        self._open = False
        self._look: Callable[[], Sequence[Device]] = tuple

    def begin(self, ranks: int, checkpoint: int | None = None) -> None:
        """The output directory is the run's from here on; it goes on from a checkpoint, or anew."""
        self._open = True
        self._values.update(ranks=ranks, checkpoint=checkpoint)
        self.state("training")

    def watch(self, look: Callable[[], Sequence[Device]]) -> None:
        """This is how the devices fare, whenever one looks."""
        self._look = look

    def phase(self, number: int, count: int) -> None:
        """The run is in phase ``number``, from 1."""
        self._values.update(phase=number, phases=count)

    def step(self, at: Step) -> None:
        """An update is done."""
        self._values.update(
            state="training",
            epoch=at.epoch,
            epochs=at.epochs,
            step=at.step,
            steps=at.steps,
            loss=at.loss if isfinite(at.loss) else None,  # which JSON has no word for
            examples_per_second=round(at.rate, 3),
            seconds_left=round(at.left, 1),
        )
        if time.monotonic() - self._written >= _EVERY or at.step == at.steps:
            self._write()

    def recorded(self, done: int, count: int) -> None:
        """So many of ``count`` examples are recorded."""
        self._values.update(state="recording", recorded=done, to_record=count)
        if time.monotonic() - self._written >= _EVERY or done == count:
            self._write()

    def checkpoint(self, update: int) -> None:
        """There is a checkpoint after so many updates."""
        self._values.update(checkpoint=update)
        self._write()

    def state(self, name: str) -> None:
        """What the run does now, or how it ended.

        One of recording, training, evaluating, finished, stopped (by a signal, with a checkpoint),
        failed.
        """
        self._values.update(state=name)
        self._write()

    def _write(self) -> None:
        if self._path is None or not self._open:
            return
        self._written = time.monotonic()
        devices = [device.values() for device in self._look()]
        told = {"devices": devices} if devices else {}
        with contextlib.suppress(OSError):  # a full disk ends no run
            write_json(self._path, {**self._values, **told, "time": time.time()})
