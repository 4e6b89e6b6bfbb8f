"""What ``mpiedge plan`` does on every rank, and how rank 0 prints it.

Apart from the command, which imports it when it is used, as the rest of the work of commands.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from mpiedge.cli.plan_sheets import notes, sheets
from mpiedge.cli.ranks import as_rank
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings, read
from mpiedge.doctor.table import Sheet, plain, ruled
from mpiedge.launch.terminal import terminal
from mpiedge.run.foresight import foresee, values
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import open_run


def plan_as_rank(
    run_file: Path, overrides: Sequence[str], ranks: int, *, for_program: bool
) -> None:
    """Plan a run as a run file says, for so many ranks (0: those there are), and print it."""

    def work(settings: RunSettings, transport: Transport) -> None:
        opened = open_run(settings, transport, run_file.parent)
        opened = collectively(transport, lambda: imagined(opened, ranks))
        found = foresee(opened)
        if transport.rank:
            return
        if for_program:
            click.echo(json.dumps(values(found), indent=2))
        else:
            _print(sheets(found), notes(found))

    as_rank(lambda: read(run_file, overrides), work)


def _print(tables: Sequence[Sheet], lines: Sequence[str]) -> None:
    screen = terminal()
    if screen is None:
        click.echo("\n\n".join([*map(plain, tables), "\n".join(lines)]).rstrip())
        return
    console = Console(file=screen)
    for sheet in tables:
        console.print(ruled(sheet))
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
