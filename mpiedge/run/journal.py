"""What happened in a run so far, as rank 0 tells it to the user and to the output directory."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mpiedge.comm.ledger import Traffic
from mpiedge.run.clock import Clock
from mpiedge.run.devices import Devices
from mpiedge.run.output import Output
from mpiedge.run.progress import Progress, Step
from mpiedge.run.reporting import Report
from mpiedge.run.status import Status


class Journal:
    """Keeps the record; on ranks other than 0 it has no output and a silent progress."""

    def __init__(
        self, output: Output | None, progress: Progress, reports: Sequence[Report] = ()
    ) -> None:
        self.output, self._progress, self.reports = output, progress, reports
        self.status = Status(output.folder if output else None)
        self._started = time.monotonic()
        self._seconds = self._paused = 0.0
        self._examples = 0
        self._refused = False
        self.epochs: list[dict[str, float]] = []
        self.scores: dict[str, float] = {}
        self.caching: dict[str, float] = {}
        self.apart: Traffic = {}
        """What this rank sent to evaluate."""
        self.facts: dict[str, Any] = {}
        """More that the result is to say."""

    def watch(self, devices: Devices) -> None:
        """Show how the devices fare."""
        self._progress.watch(devices.look)
        self.status.watch(devices.look)

    def say(self, line: str) -> None:
        """A sentence for the user."""
        self._progress.say(line)

    def noted(self) -> dict[str, Any]:
        """What a checkpoint has to say of the time before it, as plain values."""
        passed = time.monotonic() - self._started - self._paused
        return {"epochs": self.epochs, "caching": self.caching, "seconds": passed}

    def go_on(self, noted: Mapping[str, Any], examples: int) -> None:
        """Go on from what was noted, when ``examples`` of earlier epochs had been trained on."""
        self.epochs, self.caching = list(noted["epochs"]), dict(noted["caching"])
        self._examples = examples
        self._started = time.monotonic() - noted["seconds"]

    def begin(self) -> None:
        """The first update is about to be made: what came before is not counted."""
        self._started = time.monotonic()

    def step(self, clock: Clock, batch: int, loss: float, rate: float) -> None:
        """Update ``batch`` is done, with learning rate ``rate``."""
        passed = time.monotonic() - self._started - self._paused
        done, left = clock.examples_before(batch + 1), clock.steps - batch - 1
        at = Step(
            epoch=batch // clock.epoch + 1,
            epochs=clock.epochs,
            step=batch + 1,
            steps=clock.steps,
            loss=loss,
            rate=done / passed,
            left=passed / (batch + 1) * left,
        )
        self._progress.step(at)
        self.status.step(at)
        for report in self.reports:
            report.step(at, rate, passed)
        values = {"step": at.step, "epoch": at.epoch, "loss": loss, "learning_rate": rate}
        self._line({**values, "seconds": round(passed, 3)})

    def trained(self, clock: Clock, stop: int, seconds: float) -> None:
        """The updates up to ``stop`` took ``seconds``; closes the epoch when they end it."""
        self._seconds += seconds
        if stop % clock.epoch and stop != clock.steps:
            return
        done = clock.examples_before(stop)
        examples, self._examples = done - self._examples, done
        seconds, self._seconds = self._seconds, 0.0
        self.epochs.append(
            {
                "epoch": len(self.epochs) + 1,
                "seconds": round(seconds, 3),
                "examples": examples,
                "examples_per_second": round(examples / seconds, 2),
            }
        )

    def evaluated(self, clock: Clock, step: int, scores: Mapping[str, float], took: float) -> None:
        """After ``step`` updates the model scored this; ``took`` seconds do not count."""
        self._paused += took
        self.scores = dict(scores)
        self._line({"step": step, "epoch": step / clock.epoch, "evaluation": self.scores})
        self._progress.evaluated(step, self.scores)
        for report in self.reports:
            report.evaluated(step, self.scores)

    def paused(self, seconds: float) -> None:
        """Something else than training took so long."""
        self._paused += seconds

    def recorded(self, done: int, count: int) -> None:
        """So many of ``count`` examples are recorded."""
        self._progress.note(f"recording what the model makes: {done} of {count} examples")
        self.status.recorded(done, count)

    def completed(self, recorded: int, moved: int, seconds: float) -> None:
        """The activation caches are whole: what it took."""
        self.caching = {
            "recorded_apart": recorded,
            "bytes_moved": moved,
            "seconds": round(seconds, 3),
        }
        apart = f"{recorded} more examples recorded, " if recorded else ""
        self.say(
            f"activations in place: {apart}{moved / 2**20:.1f} MiB moved between ranks in "
            f"{seconds:.1f} s; from here on the model itself is not needed"
        )

    def finish(self, values: Mapping[str, Any]) -> None:
        """Write the result."""
        if self.output is not None:
            caching = {"caching": self.caching} if self.caching else {}
            told = {"metrics": self.scores, "epochs": self.epochs, **caching, **self.facts}
            with self.output.saving():
                self.output.result({**told, **values})
        self.status.state("finished")

    def close(self) -> None:
        """Nothing more is to come, however the run ended."""
        self._progress.close()
        for report in self.reports:
            report.close()

    def _line(self, values: Mapping[str, Any]) -> None:
        if self.output is None:
            return
        try:
            self.output.line(dict(values))
        except OSError as error:
            if not self._refused:
                self.say(f"metrics.jsonl takes no more ({error.strerror}); its lines wait for room")
            self._refused = True
