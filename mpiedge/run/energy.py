"""The energy that a machine takes while a run goes on, where it has a sensor."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from mpiedge.run.power import Sensor

EVERY = 0.5  # seconds between two looks


class Meter:
    """Adds up what the sensors of one machine say, in a thread of its own, while it is entered."""

    def __init__(
        self, sensors: Sequence[Sensor], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sensors, self._clock = tuple(sensors), clock
        self._total = self._at = 0.0
        self._last: list[float] = []
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mpiedge energy", daemon=True)

    def __enter__(self) -> "Meter":
        self.look()
        if self._sensors:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._sensors:
            self._thread.join()

    @property
    def what(self) -> str:
        """Which sensors; empty: there are none."""
        return ", ".join(sensor.what for sensor in self._sensors)

    def joules(self) -> float:
        """Taken since the meter was entered."""
        self.look()
        return self._total

    def look(self) -> None:
        """Add what was taken since the last look; a sensor that cannot be read counts as before."""
        with self._lock:
            now, last = self._clock(), self._last
            self._last = [
                _read(sensor, last[number] if last else 0.0)
                for number, sensor in enumerate(self._sensors)
            ]
            for sensor, before, value in zip(self._sensors, last, self._last, strict=False):
                if sensor.counter:
                    self._total += value - before + (sensor.counter if value < before else 0.0)
                else:
                    self._total += (before + value) / 2 * (now - self._at)
            self._at = now

    def _run(self) -> None:
        while not self._ending.wait(EVERY):
            self.look()


def _read(sensor: Sensor, before: float) -> float:
    with contextlib.suppress(OSError, ValueError):
        return sensor.read()
    return before
