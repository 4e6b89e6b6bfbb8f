"""Which file holds which split.

A folder's files are found by name, so that data sets from several sources can be used as they
are; one file alone is a training file, and its validation rows have to be drawn from it.
"""

from pathlib import Path
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.task.formats import READERS, format_of

VALIDATION_NAMES = ("validation", "validation_matched", "dev", "test")


class Files(NamedTuple):
    """The files of the two splits; without a validation file, rows of train are held out."""

    train: Path
    validation: Path | None


def locate(data: str) -> Files:
    """The files that ``task.data`` means."""
    path = Path(data).expanduser()
    if path.is_dir():
        return Files(_first(path, ("train",)), _first(path, VALIDATION_NAMES))
    if not path.is_file():
        raise BadInput(f"task.data: there is no folder or file {data}; correct the path")
    if format_of(path) not in READERS:
        raise BadInput(
            f"task.data: {data} is of no known format; give a folder, or a file named "
            f"{', '.join(READERS)}, also .gz"
        )
    return Files(path, None)


def locate_validation(data: str) -> Path:
    """The file with the validation examples, where ``task.data`` gives nothing else."""
    path = Path(data).expanduser()
    if path.is_dir():
        return _first(path, VALIDATION_NAMES)
    return locate(data).train


def _first(folder: Path, stems: tuple[str, ...]) -> Path:
    endings = [ending + packed for ending in READERS for packed in ("", ".gz")]
    for stem in stems:
        for ending in endings:
            if (folder / (stem + ending)).is_file():
                return folder / (stem + ending)
    held_out = "" if stems == ("train",) else "; or give the train file itself as task.data"
    raise BadInput(
        f"task.data: {folder} has no file named {' or '.join(stems)} with one of the endings "
        f"{', '.join(endings)}; add it{held_out}"
    )
