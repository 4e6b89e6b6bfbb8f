"""``mpiedge doctor``: what is here, what is wrong, how to mend it."""

import importlib.util
import os
import pkgutil
from collections.abc import Callable

import click

from mpiedge.doctor import table
from mpiedge.doctor.facts import asked_mpi
from mpiedge.doctor.report import Report, alone
from mpiedge.launch import terminal
from mpiedge.launch.rank import rank_of

EXAMPLES = """\b
Examples:
  mpiedge doctor
  mpiedge launch --hostfile hostfiles/jetson-4 -- doctor
"""


@click.command(epilog=EXAMPLES)
@click.option("--json", "for_program", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds to wait for a rank that is silent.",
)
@click.pass_context
def doctor(context: click.Context, /, for_program: bool, timeout: float) -> None:
    """Look at the installation and, under launch, at every rank and link.

    Ends with 0 if all is well and with 1 if something is wrong.
    """
    report = _report(timeout)
    if report is None:
        return
    _show(report, for_program)
    context.exit(1 if report.findings else 0)


def _report(timeout: float) -> Report | None:
    if importlib.util.find_spec("torch") is None:
        rank = rank_of(os.environ) or 0
        return None if rank else alone(rank, asked_mpi())
    examine: Callable[[float], Report | None]
    examine = pkgutil.resolve_name("mpiedge.doctor.examine:examine")
    return examine(timeout)


def _show(report: Report, for_program: bool) -> None:
    screen = terminal.terminal()
    if for_program:
        click.echo(table.as_json(report))
    elif screen is not None:
        table.draw(report, screen)
    else:
        click.echo(table.as_text(report))
