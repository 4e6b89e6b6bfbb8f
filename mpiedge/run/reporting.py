"""A run's course for other programs to show: TensorBoard, or tables of a spreadsheet.

On rank 0 only.  A run that goes on after an interruption goes on in the same files, from the
update of its checkpoint.
"""

import csv
import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from mpiedge.errors import BadInput
from mpiedge.run.output import replace_text
from mpiedge.run.progress import Step


class Report(Protocol):
    """One way to show it."""

    def begin(self, done: int) -> None:
        """Take up after so many updates, 0: anew."""

    def step(self, at: Step, learning_rate: float, seconds: float) -> None:
        """An update is done, so many seconds into the training."""

    def evaluated(self, step: int, scores: Mapping[str, float]) -> None:
        """The model scored this."""

    def close(self) -> None:
        """Nothing more is to come."""


class Table:
    """``steps.csv`` and ``evaluations.csv``: a row an update, a row an evaluation."""

    def __init__(self, folder: Path) -> None:
        self._steps, self._scores = folder / "steps.csv", folder / "evaluations.csv"

    def begin(self, done: int) -> None:
        """Keep the rows up to there."""
        for path in (self._steps, self._scores):
            lines = path.read_text(encoding="utf-8").splitlines() if done and path.exists() else []
            kept = [*lines[:1], *(line for line in lines[1:] if _step_of(line) <= done)]
            replace_text(path, "".join(f"{line}\n" for line in kept))

    def step(self, at: Step, learning_rate: float, seconds: float) -> None:
        """A row."""
        values = {**at._asdict(), "learning_rate": learning_rate, "seconds": round(seconds, 3)}
        named = ("step", "epoch", "loss", "learning_rate", "rate", "seconds")
        _append(self._steps, {_HEADS.get(name, name): values[name] for name in named})

    def evaluated(self, step: int, scores: Mapping[str, float]) -> None:
        """A row; the scores of a task have the same names each time."""
        _append(self._scores, {"step": step, **scores})

    def close(self) -> None:
        """Nothing: every row is in its file already."""


class TensorBoard:
    """Event files in ``tensorboard/``, which TensorBoard shows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tensorboard"
        self._writer: Any = None

    def begin(self, done: int) -> None:
        """What was written of later updates is void: TensorBoard hides it."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - seconds, seldom needed

        self.close()
        if not done:
            for old in self._folder.glob("events.out.tfevents.*"):
                old.unlink()
        purged = done + 1 if done else None
        self._writer = SummaryWriter(str(self._folder), purge_step=purged)

    def step(self, at: Step, learning_rate: float, seconds: float) -> None:
        """Points of the curves ``train/...``."""
        told = {"loss": at.loss, "learning_rate": learning_rate, "examples_per_second": at.rate}
        self._add("train", told, at.step)

    def evaluated(self, step: int, scores: Mapping[str, float]) -> None:
        """Points of the curves ``evaluation/...``."""
        self._add("evaluation", scores, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, group: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)


_HEADS = {"rate": "examples_per_second"}


def reports(names: Sequence[str], folder: Path) -> tuple[Report, ...]:
    """Those that ``training.report_to`` names; raises BadInput where a library is missing."""
    found: list[Report] = []
    for name in dict.fromkeys(names):
        if name == "csv":
            found.append(Table(folder))
            continue
        if importlib.util.find_spec("tensorboard") is None:
            raise BadInput(
                "training.report_to names tensorboard, which is not installed; "
                "pip install 'mpiedge[tensorboard]', or take it out"
            )
        found.append(TensorBoard(folder))
    return tuple(found)


def _append(path: Path, row: Mapping[str, Any]) -> None:
    """A row; one for which there is no room is left out, as the record has it, too."""
    empty = path.stat().st_size == 0
    with suppress(OSError), path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row.keys(), lineterminator="\n")
        if empty:
            writer.writeheader()
        writer.writerow(row)


def _step_of(line: str) -> float:
    """The update that a row is of; one that was cut short is of none."""
    first, _, rest = line.partition(",")
    return int(first) if first.isdigit() and rest else float("inf")
