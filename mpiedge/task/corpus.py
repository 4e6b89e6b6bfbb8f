"""The rows of the two splits: where they come from, which are held out, how many are used.

Nothing is read before it is asked for: a prediction needs a task's labels and tokenizer, and must
work where the data is long gone.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.task.files import locate, locate_validation
from mpiedge.task.formats import read_table
from mpiedge.task.hub import hub_table
from mpiedge.task.settings import TaskSettings
from mpiedge.task.table import Table
from mpiedge.task.task import Encoded, Split

HELD_OUT = 10
"""One row in so many validates, where there is no validation file."""


@dataclass(frozen=True)
class Corpus:
    """The rows of a task, from ``task.data`` or from the hub."""

    settings: TaskSettings
    seed: int
    hub_validation: str = ""  # the hub's name for the validation split; empty: not on the hub
    own: str = ""  # a client's own training file on this rank

    @cached_property
    def labelled(self) -> Table:
        """All rows of the training file: what the labels are taken from.

        On a rank without a client, where clients have files of their own: those of validation.
        """
        if self.own:
            return _filled(read_table(locate(self.own).train), "train")
        if self._elsewhere:
            return self._validation
        if self._on_hub:
            return _filled(hub_table(self.settings.name, "train"), "train")
        return _filled(read_table(locate(self.settings.data).train), "train")

    def table(self, split: Split) -> Table:
        """The rows that are trained or evaluated on."""
        if split == "train":
            return self._drawn(self.labelled.take(self._kept) if self._cut else self.labelled)
        limit = self.settings.eval_examples
        whole = self._validation
        return whole.take(range(limit)) if 0 < limit < len(whole) else whole

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Says it where validation rows were drawn from the training file."""
        if not self._cut:
            return ()
        return (
            f"no validation file: {len(self._held_out)} of {len(self.labelled)} rows of "
            f"{self.labelled.source}, drawn with seed {self.seed}, are held out for validation",
        )

    @property
    def _on_hub(self) -> bool:
        if self.settings.data or self.hub_validation:
            return not self.settings.data
        raise BadInput(
            f"task.data is not set, and {self.settings.name} is on no hub; set it to a folder "
            "with train and validation files, or to one training file"
        )

    @property
    def _elsewhere(self) -> bool:
        """Whether ``task.data`` is for validation only."""
        return bool(self.own or self.settings.client_files)

    @cached_property
    def _cut(self) -> bool:
        if self._elsewhere:
            return False
        return not self._on_hub and locate(self.settings.data).validation is None

    @cached_property
    def _validation(self) -> Table:
        if self._cut:
            return self.labelled.take(self._held_out)
        if self._on_hub:
            return _filled(hub_table(self.settings.name, self.hub_validation), "validation")
        if self._elsewhere:
            path: Path | None = locate_validation(self.settings.data)
        else:
            path = locate(self.settings.data).validation
        assert path is not None
        return _filled(read_table(path), "validation")

    @cached_property
    def _held_out(self) -> list[int]:
        count = len(self.labelled)
        if count < 2:
            raise BadInput(
                f"{self.labelled.source} has {count} row, so none can be held out for "
                "validation; add rows, or give a folder with a validation file"
            )
        draw = random.Random(f"held out {self.seed}")
        return sorted(draw.sample(range(count), max(1, count // HELD_OUT)))

    @cached_property
    def _kept(self) -> list[int]:
        held_out = frozenset(self._held_out)
        return [i for i in range(len(self.labelled)) if i not in held_out]

    def _drawn(self, table: Table) -> Table:
        limit = self.settings.train_examples
        if not 0 < limit < len(table):
            return table
        return table.take(random.Random(self.seed).sample(range(len(table)), limit))


@dataclass(frozen=True)
class Examples:
    """The tokenised rows of both splits, made once."""

    corpus: Corpus
    encode: Callable[[Table], list[Encoded]]

    def of(self, split: Split) -> list[Encoded]:
        """All examples of a split."""
        return self._train if split == "train" else self._validation

    @cached_property
    def _train(self) -> list[Encoded]:
        return self.encode(self.corpus.table("train"))

    @cached_property
    def _validation(self) -> list[Encoded]:
        return self.encode(self.corpus.table("validation"))


def _filled(table: Table, split: Split) -> Table:
    if not table.rows:
        raise BadInput(f"{table.source}: the {split} split is empty; add rows")
    return table
