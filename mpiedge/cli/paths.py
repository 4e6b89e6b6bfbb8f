"""The paths that a run file names, where every machine of the run looks for them."""

from pathlib import Path

from mpiedge.config import read


def named(run_file: Path) -> tuple[str, ...]:
    """Absolute paths of the model, and of the data, where these are paths here.

    A client's own file is on its device alone and not among them.
    """
    settings = read(run_file)
    given = [settings.model.name]
    given += [] if settings.task.client_files else [settings.task.data]
    places = (_found(name, run_file.parent) for name in given if name)
    return tuple(str(place) for place in places if place is not None)


def _found(name: str, beside: Path) -> Path | None:
    """Where a name leads here, from the current folder or beside the run file."""
    for place in (Path(name), beside / name):
        if place.exists():
            return place.resolve()
    return None
