"""Tables and sentences for people: with lines on a terminal, plain anywhere else."""

from collections.abc import Sequence

import click
from rich.console import Console

from mpiedge.doctor.table import Sheet, plain, ruled
from mpiedge.launch.terminal import terminal


def show(tables: Sequence[Sheet], lines: Sequence[str]) -> None:
    """Print tables, and what else there is to say below them."""
    screen = terminal()
    if screen is None:
        click.echo("\n\n".join([*map(plain, tables), "\n".join(lines)]).rstrip())
        return
    console = Console(file=screen)
    for sheet in tables:
        console.print(ruled(sheet))
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
