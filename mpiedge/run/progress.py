"""How a run tells, on rank 0, how far it is: one live line in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

_PLAIN_EVERY = 10.0  # seconds between plain lines


class Step(NamedTuple):
    """Where a run stands after an update."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    rate: float  # examples per second
    left: float  # seconds

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.left), 60)
        return (
            f"epoch {self.epoch}/{self.epochs}  step {self.step}/{self.steps}  "
            f"loss {self.loss:.4f}  {self.rate:.1f} examples/s  {minutes}:{seconds:02d} left"
        )


class Progress(Protocol):
    """Where steps and sentences are shown."""

    def step(self, step: Step) -> None:
        """An update is done."""

    def say(self, line: str) -> None:
        """A sentence that stays."""

    def close(self) -> None:
        """Nothing more is to come."""


class Silent:
    """Ranks other than 0 show nothing."""

    def step(self, step: Step) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LiveLine:
    """One line that is drawn anew, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def step(self, step: Step) -> None:
        """Draw the line anew."""
        self._live.update(Text(str(step)))

    def say(self, line: str) -> None:
        """Print above the line."""
        self._live.console.print(line, highlight=False, markup=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


class PlainLines:
    """A line now and then, for a file or a pipe."""

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock, self._last = write, clock, -_PLAIN_EVERY

    def step(self, step: Step) -> None:
        """A line when the last one is old enough, and at the very end."""
        now = self._clock()
        if now - self._last >= _PLAIN_EVERY or step.step == step.steps:
            self._last = now
            self._write(str(step))

    def say(self, line: str) -> None:
        """The sentence."""
        self._write(line)

    def close(self) -> None:
        """Nothing."""


def shown_on(console: Console) -> Progress:
    """What suits a console."""
    if console.is_terminal:
        return LiveLine(console)
    return PlainLines(lambda line: console.print(line, highlight=False, markup=False))
