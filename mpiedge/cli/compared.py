"""How ``mpiedge compare`` prints what it found."""

import json
from pathlib import Path

import click

from mpiedge.cli.printing import show
from mpiedge.doctor.table import Sheet
from mpiedge.run.against import Held, Pair, as_values, hold

_MIB = 2**20


def compare_files(plan_file: Path, folder: Path, *, for_program: bool) -> None:
    """Hold a plan against a run, and print it."""
    held = hold(plan_file, folder)
    if for_program:
        click.echo(json.dumps(as_values(held), indent=2))
    else:
        show([_sheet(held)], _notes(held))


def _sheet(held: Held) -> Sheet:
    head = ("what", "where", "unit", "predicted", "measured", "ratio")
    return Sheet(f"{held.strategy}: predicted and measured", head, tuple(map(_row, held.pairs)))


def _row(pair: Pair) -> tuple[str, ...]:
    ratio = "" if pair.ratio is None else f"{pair.ratio:.2f}"
    if pair.unit == "bytes":
        sizes = (f"{size / _MIB:.2f}" for size in (pair.predicted, pair.measured))
        return (pair.what, pair.where, "MiB", *sizes, ratio)
    numbers = (f"{number:.4g}" for number in (pair.predicted, pair.measured))
    return (pair.what, pair.where, pair.unit, *numbers, ratio)


def _notes(held: Held) -> list[str]:
    return [
        f"memory: of the whole process; what it has before any weights is as {held.bare} measured "
        f"it",
        "bytes: predicted of tensors alone, measured with what messages say of themselves; "
        "without evaluation",
    ]
