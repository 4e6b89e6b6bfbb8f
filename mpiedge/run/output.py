"""The output directory of a run, written on rank 0 only.

``run.toml`` as resolved, ``metrics.jsonl`` with a line a step, ``result.json`` at the end, and
``adapter/``, which the export writes.
"""

import json
import os
from pathlib import Path
from typing import Any

from mpiedge.errors import BadInput


class Output:
    """Writes what a run leaves behind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._steps = folder, folder / "metrics.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._steps.open("a").close()
        except OSError as error:
            raise BadInput(
                f"output directory {folder} cannot be written to ({error.strerror}); "
                f"choose another with --output-dir"
            ) from None

    @property
    def adapter(self) -> Path:
        """Where the tuned weights go."""
        return self.folder / "adapter"

    def run_file(self, text: str) -> None:
        """Keep the settings in force, and begin the record anew."""
        (self.folder / "result.json").unlink(missing_ok=True)
        replace_text(self._steps, "")
        replace_text(self.folder / "run.toml", text)

    def line(self, values: dict[str, Any]) -> None:
        """One line of ``metrics.jsonl``."""
        with self._steps.open("a", encoding="utf-8") as steps:
            steps.write(json.dumps(values) + "\n")

    def result(self, values: dict[str, Any]) -> None:
        """Write ``result.json``: the last thing a run does."""
        replace_text(self.folder / "result.json", json.dumps(values, indent=2) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
