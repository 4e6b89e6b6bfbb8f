"""Replies as they come, by a deadline, and those that come later: they are thrown away.

Apart from the rounds because a reply can be late for one round and come in another.
"""

import time

from mpiedge.comm.pause import Pause
from mpiedge.run.allotting import Task
from mpiedge.run.local_work import Done
from mpiedge.run.orders import Awaited, Orders

_REST = 0.01  # seconds between two looks at what has come


class LateReplies:
    """The server's collecting of replies, and its memory of those that it no longer waits for."""

    def __init__(self, orders: Orders, deadline: float) -> None:
        self._orders, self._deadline = orders, deadline
        self._late: list[Awaited] = []

    def clients(self) -> frozenset[int]:
        """The clients whose replies are late; those whose have come now are so no longer."""
        self._late = [reply for reply in self._late if self._orders.come(reply) is None]
        return frozenset(late.task.client for late in self._late)

    def forget(self) -> None:
        """Throw away every reply that is late, when it has come."""
        for reply in self._late:
            self._orders.wait(reply)
        self._late.clear()

    def collected(self, awaited: list[Awaited], start: float) -> dict[Task, Done]:
        """The replies that are here by the deadline, seconds after ``start``; 0 waits for all."""
        if not self._deadline:
            return {reply.task: self._orders.wait(reply) for reply in awaited}
        found, pause, waiting = dict[Task, Done](), Pause(), awaited
        while waiting:
            came = {reply: self._orders.come(reply) for reply in waiting}
            found.update({reply.task: done for reply, done in came.items() if done is not None})
            waiting = [reply for reply in waiting if came[reply] is None]
            if waiting and time.monotonic() - start > self._deadline:
                self._late += waiting
                break
            pause.rest(_REST)
        return found
