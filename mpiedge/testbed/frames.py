"""A switch that keeps to the rate and the delay of each of its ports, without the ports.

Apart from ``switch``, which moves real frames by it, so that its times can be tested without root
and without waiting.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

HEADER = 10  # bytes that the kernel puts before each frame
LARGEST = 1514  # bytes of a frame on a wire
REPEATED = 66  # bytes of headers that each frame of a segmented one has of its own
BACKLOG = 0.05  # seconds of frames that may wait for a port's uplink


class Line(NamedTuple):
    """A port's link."""

    rate: float  # bytes per second, each way
    delay: float  # seconds to an equal port, one way


class Switch:
    """Which frame leaves by which port, and when.

    Each link is a wire of its rate in both directions: a frame leaves the switch when its last
    byte has come in over the sender's link and gone out over the receiver's.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = tuple(lines)
        self._up = [0.0] * len(lines)  # when each direction is free again
        self._down = [0.0] * len(lines)
        self._homes: dict[bytes, int] = {}  # the port behind which an address was seen
        self._queue: list[tuple[float, int, int, bytes]] = []
        self._taken = 0

    def accepts(self, port: int, now: float) -> bool:
        """Whether a port's uplink has room: what waits longer stays in the sender's kernel."""
        return self._up[port] - now < BACKLOG

    def take(self, frame: bytes, port: int, now: float) -> None:
        """A frame, with the kernel's header, has come in by a port."""
        target, source = frame[HEADER : HEADER + 6], frame[HEADER + 6 : HEADER + 12]
        self._homes[source] = port
        size = wire_bytes(len(frame) - HEADER)
        self._up[port] = max(self._up[port], now) + size / self._lines[port].rate
        known = self._homes.get(target)
        others = (each for each in range(len(self._lines)) if each != port)
        for each in others if known is None else (known,):
            self._send(frame, (port, each), size)

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """The frames that have to leave by now, in order, each with its port."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            _, _, port, frame = heapq.heappop(self._queue)
            found.append((port, frame))
        return found

    def next_due(self) -> float | None:
        """When the next frame leaves."""
        return self._queue[0][0] if self._queue else None

    def _send(self, frame: bytes, ports: tuple[int, int], size: int) -> None:
        source, target = (self._lines[port] for port in ports)
        out = ports[1]
        self._down[out] = max(self._down[out] + size / target.rate, self._up[ports[0]])
        when = self._down[out] + (source.delay + target.delay) / 2
        self._taken += 1  # frames of one time leave in the order they came
        heapq.heappush(self._queue, (when, self._taken, out, frame))


def wire_bytes(size: int) -> int:
    """The bytes on a wire of a frame that the kernel has not yet cut into small ones."""
    return size + REPEATED * (size // LARGEST)
