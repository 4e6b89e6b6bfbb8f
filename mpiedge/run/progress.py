"""How a run tells, on rank 0, how far it is: drawn anew in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mpiedge.run.devices import TITLES, Device

_PLAIN_EVERY = 10.0  # seconds between plain lines
_SEVERAL = 2  # ranks; a single one has no line of its own
_SIDES: tuple[JustifyMethod, ...] = ("right", "left", "left", "left", "right", "right", "right")
_GAP = 2  # between columns
# Columns that give way when the terminal is narrow, and what is left of them at the least.
_GIVE_WAY = (("host", 6), ("layers", 8), ("state", 8))

Scores = Mapping[str, float]
Look = Callable[[], Sequence[Device]]


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

    def watch(self, look: Look) -> None:
        """This is how the devices fare, whenever one looks."""

    def step(self, step: Step) -> None:
        """An update is done."""

    def say(self, line: str) -> None:
        """A sentence that stays."""

    def note(self, line: str) -> None:
        """A sentence that the next one, or the next step, takes the place of."""

    def evaluated(self, step: int, scores: Scores) -> None:
        """After so many updates the model scored this."""

    def close(self) -> None:
        """Nothing more is to come."""


class Silent:
    """Ranks other than 0 show nothing."""

    def watch(self, look: Look) -> None:
        """Nothing."""

    def step(self, step: Step) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def evaluated(self, step: int, scores: Scores) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LiveView:
    """A line for the run and one for each of its devices, drawn anew, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._step = ""
        self._look: Look = tuple
        self._live = Live(
            console=console,
            refresh_per_second=4,
            transient=True,
            get_renderable=self._drawn,
        )
        self._live.start()

    def watch(self, look: Look) -> None:
        """Draw what one sees there, too."""
        self._look = look

    def step(self, step: Step) -> None:
        """Draw the line anew."""
        self._step = str(step)

    def say(self, line: str) -> None:
        """Print above the line."""
        self._live.console.print(line, highlight=False, markup=False)

    def note(self, line: str) -> None:
        """Draw the line in place of the run's."""
        self._step = line

    def evaluated(self, step: int, scores: Scores) -> None:
        """Print the scores above the line."""
        self.say(_in_words(step, scores))

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def _drawn(self) -> RenderableType:
        devices = self._look()
        if len(devices) < _SEVERAL:
            return Text(self._step)
        rows = [TITLES, *(device.cells() for device in devices)]
        table = Table.grid(padding=(0, _GAP), pad_edge=False)
        for side, width in zip(_SIDES, widths(rows, self._live.console.width), strict=True):
            table.add_column(justify=side, no_wrap=True, overflow="ellipsis", width=width)
        for number, row in enumerate(rows):
            table.add_row(*map(Text, row), style="" if number else "dim")
        return Group(Text(self._step), table)


def widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column of a table of devices is, in so many characters if it can be."""
    found = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for title, least in _GIVE_WAY:
        excess = sum(found) + _GAP * (len(found) - 1) - room
        column = TITLES.index(title)
        found[column] -= max(0, min(excess, found[column] - least))
    return found


class PlainLines:
    """A line now and then, for a file or a pipe."""

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock, self._last = write, clock, -_PLAIN_EVERY

    def watch(self, look: Look) -> None:
        """Nothing: lines are of the run as a whole."""

    def step(self, step: Step) -> None:
        """A line when the last one is old enough, and at the very end."""
        self._now_and_then(str(step), step.step == step.steps)

    def say(self, line: str) -> None:
        """The sentence."""
        self._write(line)

    def note(self, line: str) -> None:
        """The sentence, when the last line is old enough."""
        self._now_and_then(line)

    def evaluated(self, step: int, scores: Scores) -> None:
        """The scores."""
        self.say(_in_words(step, scores))

    def close(self) -> None:
        """Nothing."""

    def _now_and_then(self, line: str, anyway: bool = False) -> None:
        now = self._clock()
        if now - self._last >= _PLAIN_EVERY or anyway:
            self._last = now
            self._write(line)


def _in_words(step: int, scores: Scores) -> str:
    words = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    return f"evaluation after step {step}: {words}"


def shown_on(console: Console) -> Progress:
    """What suits a console."""
    if console.is_terminal:
        return LiveView(console)
    return PlainLines(lambda line: console.print(line, highlight=False, markup=False))
