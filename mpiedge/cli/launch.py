"""``mpiedge launch``: one command that starts every rank of a job."""

import os
import shlex
from pathlib import Path
from typing import Any

import click

from mpiedge.cli.group import COMMANDS
from mpiedge.cli.restarts import surroundings
from mpiedge.errors import BadInput
from mpiedge.launch import command, terminal
from mpiedge.launch.again import Limits, keep_going
from mpiedge.launch.job import Request, job, mpirun
from mpiedge.launch.supervise import supervise

ALONE = frozenset({"launch", "init", "hosts"})  # the commands that several ranks cannot run
READS = frozenset({"predict"})  # the commands that read the standard input
EXAMPLES = """\b
Examples:
  mpiedge launch -n 4 -- train run.toml
  mpiedge launch --hostfile hostfiles/jetson-4 -- train run.toml
  mpiedge launch --hostfile hostfiles/jetson-4 --max-restarts 3 --rejoin 60 -- train run.toml
"""


@click.command(epilog=EXAMPLES, options_metavar="[-n N | --hostfile FILE] [OPTIONS]")
@click.option("-n", "--ranks", type=int, metavar="N", help="How many ranks to start.")
@click.option(
    "--hostfile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The machines to run on, one a line ('pi-1 slots=1'), this one first.  "
    "With -n, only the first N slots are used.",
)
@click.option(
    "--interface",
    metavar="SUBNET",
    help="The network between the machines, such as 192.168.1.0/24.  Found when left out.",
)
@click.option(
    "--mca", nargs=2, multiple=True, metavar="NAME VALUE", help="A setting of Open MPI's."
)
@click.option(
    "--max-restarts",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Start a train that was lost again, so often, from its last checkpoint and without "
    "the machines that do not answer.",
)
@click.option(
    "--rejoin",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="With --max-restarts: wait so long for machines that do not answer.",
)
@click.option("--dry-run", is_flag=True, help="Print the mpirun command and do not run it.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND ...")
@click.pass_context
def launch(
    context: click.Context,
    /,
    dry_run: bool,
    words: tuple[str, ...],
    max_restarts: int,
    rejoin: float,
    **options: Any,
) -> None:
    """Run a command of mpiedge over MPI, on this machine or on several.

    Prints the mpirun command, runs it and ends with the job's exit code.  Ctrl-C ends the job,
    a second one at once.  Before it ends a train writes a checkpoint.
    """
    check(words)
    check_restarts(words, max_restarts, rejoin)
    planned = job(Request(words, **options), os.environ)
    line = command.words(mpirun(), planned)
    # what the ranks print may be meant for a program: the command is said beside it
    click.echo(shlex.join(line), err=not dry_run)
    if dry_run:
        return
    environment = {**os.environ, **terminal.variables()}
    if max_restarts:
        limits = Limits(max_restarts, rejoin)
        context.exit(keep_going(planned, limits, surroundings(words, environment)))
    reads = words[0] in READS
    context.exit(supervise(line, planned.program, environment, reads=reads))


def check_restarts(words: tuple[str, ...], restarts: int, rejoin: float) -> None:
    """Refuse restarts of anything that could not go on from where it was."""
    if restarts and words[0] != "train":
        raise BadInput(
            f"--max-restarts {restarts} is for train, which has checkpoints, not for {words[0]}; "
            "leave it out"
        )
    if rejoin and not restarts:
        raise BadInput(
            f"--rejoin {rejoin:g} says how long a restart waits; give --max-restarts too"
        )


def check(words: tuple[str, ...]) -> None:
    """Refuse anything that is not a command of mpiedge that several ranks can run."""
    known = [name for name in COMMANDS if name not in ALONE]
    if not words:
        raise BadInput("launch what?  Add '-- train RUN.toml', say")
    if words[0] not in known:
        raise BadInput(
            f"{words[0]!r} is not a command that launch can run; it runs {', '.join(known)}"
        )
