"""Opening one run in several ways: other strategies, other settings, the same examples.

Apart from opening a run once, where nothing is to be kept for the next time.
"""

from dataclasses import replace
from pathlib import Path

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import Opened, open_run
from mpiedge.run.sizing import sized


class Opener:
    """Opens runs on the ranks that there are, or on as many imagined ones."""

    def __init__(self, transport: Transport, beside: Path = Path(), ranks: int = 0) -> None:
        self._transport, self._beside, self._ranks = transport, beside, ranks
        self._before: Opened | None = None

    def __call__(self, settings: RunSettings, ranks: int = 0) -> Opened:
        """The run of these settings, on so many imagined ranks (0: as asked for); called by all.

        Raises BadInput on all ranks when one cannot.
        """
        opened = open_run(settings, self._transport, self._beside)
        count = ranks or self._ranks
        found = collectively(self._transport, lambda: imagined(opened, count))
        before, self._before = self._before, self._before or opened
        if before is not None and before.settings.task == opened.settings.task:
            found = replace(found, task=before.task)  # its examples are read already
        return sized(found)

    @property
    def ranks(self) -> int:
        """How many ranks the run is opened on."""
        return max(self._transport.size, self._ranks)

    @property
    def alone(self) -> bool:
        """Whether ranks are imagined, so that there could be more."""
        return self._transport.size == 1
