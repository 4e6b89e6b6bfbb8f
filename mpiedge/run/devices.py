"""How every device fares while a run goes on, as rank 0 shows it."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mpiedge.comm.telemetry import Reading, Telemetry

_MIB = 2**20
_APART = 900_000  # microseconds between two readings, so that a rate is not of a single message
TITLES = ("rank", "host", "layers", "state", "ex/s", "memory", "out, in MiB/s")


class Device(NamedTuple):
    """One rank now; rates are over the last second or so, None while they are not known."""

    rank: int
    host: str
    layers: tuple[int, ...]  # that it holds in this phase
    state: str
    examples_per_second: float | None
    memory_bytes: int | None
    sent_per_second: float | None  # bytes
    received_per_second: float | None  # bytes

    def cells(self) -> tuple[str, ...]:
        """In words, for a row of the table that ``TITLES`` heads."""
        memory = "" if self.memory_bytes is None else f"{self.memory_bytes / _MIB:.0f} MiB"
        link = ""
        if self.sent_per_second is not None and self.received_per_second is not None:
            sent, received = self.sent_per_second / _MIB, self.received_per_second / _MIB
            link = f"{sent:.2f} {received:.2f}"
        speed = "" if self.examples_per_second is None else f"{self.examples_per_second:.1f}"
        return (str(self.rank), self.host, self.stage(), self.state, speed, memory, link)

    def stage(self) -> str:
        """Its layers in words."""
        if not self.layers:
            return "none"
        rows: list[list[int]] = []
        for layer in self.layers:
            if rows and layer == rows[-1][-1] + 1:
                rows[-1].append(layer)
            else:
                rows.append([layer])
        return ",".join(f"{row[0]}..{row[-1]}" if len(row) > 1 else f"{row[0]}" for row in rows)

    def values(self) -> dict[str, Any]:
        """As plain values, for a program that watches."""
        found = self._asdict()
        rates = ("examples_per_second", "sent_per_second", "received_per_second")
        rounded = {name: found[name] and round(found[name], 3) for name in rates}
        return {**found, "layers": list(self.layers), **rounded}


class Devices:
    """All ranks of a run, for one of them that asks, from any of its threads."""

    def __init__(self, telemetry: Telemetry, hosts: Sequence[str]) -> None:
        self._telemetry, self._hosts = telemetry, hosts
        self._layers: Mapping[int, Sequence[int]] = {}
        self._lock = threading.Lock()
        self._before: dict[int, Reading] = {}
        self._last: dict[int, Reading] = {}

    def hold(self, layers: Mapping[int, Sequence[int]]) -> None:
        """From here on ranks hold these layers."""
        self._layers = layers

    def look(self) -> tuple[Device, ...]:
        """All of them now."""
        with self._lock:
            return tuple(self._device(rank) for rank in range(len(self._hosts)))

    def _device(self, rank: int) -> Device:
        reading = self._telemetry.reading(rank)
        last = self._last.get(rank)
        if reading is not None and (last is None or reading.at - last.at >= _APART):
            if last is not None:
                self._before[rank] = last
            self._last[rank] = last = reading
        examples, sent, received = _rates(self._before.get(rank), last)
        return Device(
            rank=rank,
            host=self._hosts[rank],
            layers=tuple(self._layers.get(rank, ())),
            state=str(self._telemetry.state(rank)),
            examples_per_second=examples,
            memory_bytes=last and last.memory,
            sent_per_second=sent,
            received_per_second=received,
        )


def _rates(before: Reading | None, now: Reading | None) -> tuple[float | None, ...]:
    if before is None or now is None:
        return None, None, None
    seconds = (now.at - before.at) / 1e6
    return (
        (now.examples - before.examples) / seconds,
        (now.sent - before.sent) / seconds,
        (now.received - before.received) / seconds,
    )
