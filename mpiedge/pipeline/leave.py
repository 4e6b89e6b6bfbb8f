"""How far a rank goes ahead of the next one in a pass that trains nothing.

While training, a stage waits for gradients and so never has many micro-batches out.  In a pass that
only goes forward, a fast stage would send all it has to a slow one, which would keep it in memory:
an epoch's activations are larger than a small board.  So the next stage says when it takes a
micro-batch, and only a few that it has not taken are ever on their way (our design).
"""

from collections import defaultdict, deque

from mpiedge.comm.transport import Kind, Tag, Transport

AHEAD = 3  # micro-batches: one arrives while one lies ready, and one for unevenness


class Leave:
    """Leave to send, between a rank and its neighbours; ranks go by one order of all actions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._sent: dict[int, deque[Tag]] = defaultdict(deque)  # and not yet known to be taken

    def ask(self, dest: int, tag: Tag) -> None:
        """Wait until one more message may go to a rank: this one."""
        sent = self._sent[dest]
        if len(sent) == AHEAD:
            self._transport.recv(dest, sent.popleft())
        sent.append(_leave(tag))

    def give(self, source: int, tag: Tag) -> None:
        """A message was taken; its sender hears of it."""
        self._transport.send([], source, _leave(tag))

    def settle(self) -> None:
        """Wait until all that was sent is taken."""
        for dest, sent in self._sent.items():
            while sent:
                self._transport.recv(dest, sent.popleft())


def _leave(tag: Tag) -> Tag:
    return tag._replace(kind=Kind.CREDIT)
