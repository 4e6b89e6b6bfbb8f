"""That a run has been asked to end (Ctrl-C, SIGTERM) while it has something worth keeping.

MPI lets no rank go alone, and a checkpoint is made by all.  So the first signal is only noted;
where the next checkpoint could be written the ranks agree, write it and end together.  A second
signal ends at once, and so does one that was not answered in ``GRACE`` seconds.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.errors import BadInput, Stopped

GRACE = 30.0  # seconds to come to where a checkpoint can be written; our design
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAID = (
    "mpiedge: stopping; a checkpoint is written first, at most {grace:g} s from now; "
    "Ctrl-C again ends at once\n"
)


class Stopping:
    """What this rank was asked, and what all are."""

    def __init__(self, transport: Transport, grace: float = GRACE) -> None:
        self._transport, self._grace = transport, grace
        self._asked, self._told = 0, False
        self._before: dict[int, Any] = {}
        self._late: threading.Timer | None = None
        self.heeds = False
        """Whether a signal is noted; else it ends this rank at once."""

    @contextmanager
    def heard(self) -> Iterator[None]:
        """For as long as signals come here; never in a thread, which gets none.

        What fails once this rank was asked to end only ends it: mpirun asks the others when one
        has failed, and they then find it gone.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = [each for each in SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
        self._before = {each: signal.signal(each, self._hear) for each in wanted}
        try:
            yield
        except (Stopped, BadInput):
            raise
        except Exception:
            if self._asked:
                self._hear(self._asked, None)
            raise
        finally:
            if self._late is not None:
                self._late.cancel()
            for number, before in self._before.items():
                # the one that ends this rank may have put another in place
                if signal.getsignal(number) == self._hear:
                    signal.signal(number, before)

    def ask(self, number: int) -> None:
        """Note that this rank was asked to end, by a signal."""
        self._asked = number

    def asked(self) -> int:
        """The signal by which any rank was asked to end, as rank 0 knows; 0: none.

        Nobody waits for it: what another rank was asked may be known at the next call only.
        """
        transport, tag = self._transport, Tag(Kind.ASKED)
        if transport.rank:
            if self._asked and not self._told:
                transport.send([torch.tensor([self._asked])], 0, tag)
                self._told = True
            return self._asked
        for other in range(1, transport.size):
            message = transport.poll(other, tag)
            if message is not None:
                self._asked = self._asked or int(message[0])
        return self._asked

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self.heeds or self._asked:
            before: Callable[[int, FrameType | None], Any] | int | None = self._before[number]
            if callable(before):
                before(number, frame)
            return
        self.ask(number)
        self._late = threading.Timer(self._grace, os.kill, (os.getpid(), number))
        self._late.daemon = True
        self._late.start()
        # SIGTERM also comes from mpirun, when a rank has failed and all is over
        if number == signal.SIGINT and not self._transport.rank:
            os.write(2, _SAID.format(grace=self._grace).encode())
