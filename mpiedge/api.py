"""Training from a Python program, alone or as one rank under ``mpirun``.

The same as ``mpiedge train``, with what a program may have instead of files: settings as plain
values, a model, examples, and functions to be called on the way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively, decided
from mpiedge.config import RunSettings, read, settled
from mpiedge.run import job
from mpiedge.run.handed_over import Rows, data_place, model_place
from mpiedge.run.progress import Scores, Silent, Step
from mpiedge.run.ranks import as_rank

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Run", "Step", "Trained", "train"]


class Trained(NamedTuple):
    """What a run has made, the same on every rank but for ``rank``."""

    folder: Path  # adapter/, run.toml, metrics.jsonl, result.json
    scores: dict[str, float]  # of the last evaluation
    rank: int
    ranks: int


@dataclass(frozen=True)
class Run:
    """A run to be trained, described by a program.

    ``settings`` are the path of a run file or its sections as mappings; ``overrides`` are as those
    of ``--set``.  ``model``, any of a supported family with its ``tokenizer``, takes the place of
    ``model.name``, and ``examples``, by ``"train"`` and ``"validation"``, that of ``task.data``:
    both have to be the same on all ranks.  The functions are called on rank 0: ``on_step`` after
    every update, ``on_evaluation`` with the number of updates and the scores.  What they raise
    ends the run on all ranks.
    """

    settings: str | Path | Mapping[str, Mapping[str, Any]]
    output_dir: str | Path
    overrides: Sequence[str] = ()
    model: "PreTrainedModel | None" = None
    tokenizer: "PreTrainedTokenizerBase | None" = None
    examples: Mapping[str, Rows] = field(default_factory=dict)
    on_step: Callable[[Step], object] | None = None
    on_evaluation: Callable[[int, Scores], object] | None = None

    def train(self, *, resume: bool = False, trace: bool = False) -> Trained:
        """Train, or with ``resume`` go on with what was begun in the output directory.

        Called on all ranks of a job.  Raises BadInput on each where the run cannot be, before any
        work has started, and Stopped where a signal ended it, with a checkpoint.
        """
        folder, made = Path(self.output_dir), list[Trained]()
        beside = Path(self.settings).parent if isinstance(self.settings, str | Path) else Path()

        def work(settings: RunSettings, transport: Transport) -> None:
            told = _Told(self) if transport.rank == 0 else Silent()
            asked = job.Job(folder, beside, resume=resume, trace=trace)
            handed = collectively(transport, lambda: self._handed_over(settings, folder))
            scores = job.train(handed, transport, asked, told)
            scores = decided(transport, lambda: dict(scores))
            made.append(Trained(folder, scores, transport.rank, transport.size))

        as_rank(self._read, work)
        return made[0]

    def _read(self) -> RunSettings:
        """The settings, with a model and data that are named once they are written."""
        given = self.settings
        names = [] if self.model is None else [f"model.name={_LATER}"]
        names += [f"task.data={_LATER}"] if self.examples else []
        if isinstance(given, str | Path):
            return read(Path(given), [*names, *self.overrides])
        values = {name: dict(section) for name, section in given.items()}
        return settled(values, [*names, *self.overrides], "settings")

    def _handed_over(self, settings: RunSettings, folder: Path) -> RunSettings:
        """The settings with the places of what the program has in memory."""
        if self.model is not None:
            name = str(model_place(folder, self.model, self.tokenizer))
            settings = replace(settings, model=replace(settings.model, name=name))
        if self.examples:
            data = str(data_place(folder, self.examples))
            settings = replace(settings, task=replace(settings.task, data=data))
        return settings


def train(
    settings: str | Path | Mapping[str, Mapping[str, Any]], output_dir: str | Path, **more: Any
) -> Trained:
    """``Run(settings, output_dir, **more).train()``."""
    return Run(settings, output_dir, **more).train()


_LATER = "given"
"""What stands for a model or data until they are written."""


class _Told(Silent):
    """Progress that is told to a program's functions, and no one else."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def step(self, step: Step) -> None:
        """An update is done."""
        if self._run.on_step is not None:
            self._run.on_step(step)

    def evaluated(self, step: int, scores: Scores) -> None:
        """The model was evaluated."""
        if self._run.on_evaluation is not None:
            self._run.on_evaluation(step, dict(scores))
