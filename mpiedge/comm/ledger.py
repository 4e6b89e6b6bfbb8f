"""How much was said to whom: messages and bytes by kind and peer.

Filled in by the transport as it works, so that what a run reports about its traffic is counted
where the bytes pass and not estimated from the plan.  Messages to oneself are not traffic.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from mpiedge.comm.tag import Kind


class Count(NamedTuple):
    """Some traffic."""

    messages: int = 0
    bytes: int = 0

    def plus(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.messages + other.messages, self.bytes + other.bytes)


Traffic = dict[tuple[Kind, int], Count]


class Ledger:
    """What one rank sent and received; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: Traffic = {}
        self._received: Traffic = {}

    def note_sent(self, kind: Kind, peer: int, size: int) -> None:
        """One message of ``size`` bytes started on its way to ``peer``."""
        self._note(self._sent, (kind, peer), size)

    def note_received(self, kind: Kind, peer: int, size: int) -> None:
        """One message of ``size`` bytes came from ``peer``."""
        self._note(self._received, (kind, peer), size)

    def note_sum(self, rank: int, ranks: Sequence[int], size: int) -> None:
        """``rank`` took part in summing ``size`` bytes over ``ranks``.

        MPI does not say what it moved; this is what the least costly way of summing, once
        around a ring and once more, sends to the next rank and takes from the one before.
        """
        place, moved = ranks.index(rank), 2 * size * (len(ranks) - 1) // len(ranks)
        self.note_sent(Kind.COLLECTIVE, ranks[(place + 1) % len(ranks)], moved)
        self.note_received(Kind.COLLECTIVE, ranks[place - 1], moved)

    def sent(self) -> Traffic:
        """What was sent so far, by kind and destination."""
        with self._lock:
            return dict(self._sent)

    def received(self) -> Traffic:
        """What was received so far, by kind and source."""
        with self._lock:
            return dict(self._received)

    def _note(self, traffic: Traffic, key: tuple[Kind, int], size: int) -> None:
        with self._lock:
            messages, total = traffic.get(key, (0, 0))
            traffic[key] = Count(messages + 1, total + size)


def total(traffic: Traffic) -> Count:
    """All of it together."""
    result = Count()
    for count in traffic.values():
        result = result.plus(count)
    return result


def both(one: Traffic, other: Traffic) -> Traffic:
    """Both together."""
    return {key: one.get(key, Count()).plus(other.get(key, Count())) for key in {**one, **other}}


def without(traffic: Traffic, earlier: Traffic) -> Traffic:
    """What came to be after ``earlier``."""
    rest = {
        key: Count(count.messages - was.messages, count.bytes - was.bytes)
        for key, count in traffic.items()
        for was in (earlier.get(key, Count()),)
    }
    return {key: count for key, count in rest.items() if count.messages}


def by_kind(traffic: Traffic) -> dict[str, Count]:
    """The traffic of each kind of message, by its name."""
    result: dict[str, Count] = {}
    for (kind, _), count in traffic.items():
        name = kind.name.lower()
        result[name] = result.get(name, Count()).plus(count)
    return result
