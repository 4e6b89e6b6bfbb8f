"""The output directory of a run, written on rank 0 only.

``run.toml`` as resolved, ``metrics.jsonl`` with a line a step, ``result.json`` at the end; beside
them ``adapter/``, which the export writes, and ``status.json``.
"""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from mpiedge.errors import BadInput, NotWritten


class Output:
    """Writes what a run leaves behind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._steps = folder, folder / "metrics.jsonl"
        self._waiting = b""
        for place in (folder, self.adapter):
            _check_writable(place)
        if self._steps.is_dir():
            raise _unwritable(folder, f"{self._steps} is a folder")

    @property
    def replaces(self) -> bool:
        """Whether the directory holds the result of an earlier run."""
        return (self.folder / "result.json").exists()

    @property
    def adapter(self) -> Path:
        """Where the tuned weights go."""
        return self.folder / "adapter"

    def run_file(self, text: str) -> None:
        """Keep the settings in force, and begin the record anew; an earlier result goes."""
        with self._accepting():
            self.folder.mkdir(parents=True, exist_ok=True)
        self._begin(text, "")
        self._waiting = b""

    def go_on(self, text: str, done: int) -> None:
        """Keep the settings in force, and the record of the first ``done`` updates."""
        lines = self._steps.read_text(encoding="utf-8").splitlines() if self._steps.exists() else []
        kept = [line for line in lines if _step_of(line) <= done]
        self._begin(text, "".join(f"{line}\n" for line in kept))

    def _begin(self, text: str, record: str) -> None:
        with self._accepting():
            (self.folder / "result.json").unlink(missing_ok=True)
            replace_text(self._steps, record)
            replace_text(self.folder / "run.toml", text)

    @contextmanager
    def _accepting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(self.folder, error.strerror) from None

    def line(self, values: dict[str, Any]) -> None:
        """One line of ``metrics.jsonl``; raises OSError.

        What a full disk did not take is written with a later line.
        """
        self._waiting += f"{json.dumps(values)}\n".encode()
        with self._steps.open("ab", buffering=0) as steps:
            written = steps.write(self._waiting)
        self._waiting = self._waiting[written:]
        if self._waiting:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around writing the result; raises NotWritten where the disk refuses it."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or error
            raise NotWritten(
                f"the result cannot be written to {self.folder} ({why}); make room there and go on "
                f"from the last checkpoint: mpiedge train ... --resume {self.folder}"
            ) from error

    def result(self, values: dict[str, Any]) -> None:
        """Write ``result.json``: the last thing a run does."""
        write_json(self.folder / "result.json", values)


def _step_of(line: str) -> float:
    """The update that a line is of; one that was cut short is of none."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return inf


def _check_writable(folder: Path) -> None:
    """Refuse a folder that can be neither written to nor made; nothing is made yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise _unwritable(folder, f"{there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unwritable(folder, f"no permission to write to {there}")


def _unwritable(folder: Path, why: str | None) -> BadInput:
    return BadInput(
        f"output directory {folder} cannot be written to ({why}); choose another with --output-dir"
    )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values whole or not at all; raises OSError."""
    replace_text(path, json.dumps(values, indent=2) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
