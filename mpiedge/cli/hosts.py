"""``mpiedge hosts``: whether the machines of a hostfile are ready for a run, and making them so."""

import json
import os
from pathlib import Path

import click

CHECK_EXAMPLES = """\b
Examples:
  mpiedge hosts check hostfiles/jetson-4
  mpiedge hosts check hostfiles/jetson-4 --run run.toml
  mpiedge hosts check hostfiles/jetson-4 --json
"""
SYNC_EXAMPLES = """\b
Examples:
  mpiedge hosts sync hostfiles/jetson-4
  mpiedge hosts sync hostfiles/jetson-4 run.toml
  mpiedge hosts sync hostfiles/jetson-4 run.toml --dry-run
"""
FAILED = 1


@click.group()
def hosts() -> None:
    """Look at the machines that a job would run on, or bring them what it needs."""


@hosts.command("check", epilog=CHECK_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path), metavar="HOSTFILE")
@click.option(
    "--run",
    "run_file",
    type=click.Path(path_type=Path),
    metavar="RUN.toml",
    help="Also look for the model and the data that this run names by a path.",
)
@click.option("--json", "for_program", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def check(context: click.Context, /, file: Path, run_file: Path | None, for_program: bool) -> None:
    """Ask every machine of HOSTFILE at once: is it there, has it what a run needs?

    A line for each, and below it what is wrong and how to mend it.  mpirun starts nothing: the
    machines are reached by ssh, or by the agent that Open MPI was told to use.  Ends with 1 if
    something is wrong.
    """
    from mpiedge.cli.paths import named  # noqa: PLC0415 - not for --help
    from mpiedge.hosts.asking import ask  # noqa: PLC0415
    from mpiedge.hosts.verdict import verdicts  # noqa: PLC0415
    from mpiedge.launch.hostfile import read  # noqa: PLC0415
    from mpiedge.launch.probe import agent_of  # noqa: PLC0415
    from mpiedge.version import VERSION  # noqa: PLC0415

    machines, paths = read(file), named(run_file) if run_file else ()
    found = verdicts(ask(machines, agent_of(os.environ), paths), VERSION)
    if for_program:
        click.echo(json.dumps([each._asdict() for each in found], indent=1))
    for each in () if for_program else found:
        click.echo(f"{each.name}: {each.line}")
        for problem in each.problems:
            click.echo(f"  wrong: {problem}")
        for note in each.notes:
            click.echo(f"  note: {note}")
    context.exit(FAILED if any(each.problems for each in found) else 0)


@hosts.command("sync", epilog=SYNC_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path), metavar="HOSTFILE")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, metavar="[RUN.toml]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent and run.")
@click.option("--json", "for_program", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def sync(
    context: click.Context,
    /,
    file: Path,
    files: tuple[Path, ...],
    *,
    dry_run: bool,
    for_program: bool,
) -> None:
    """Bring mpiedge as it is here, and run files, to every other machine of HOSTFILE.

    To the same places as here, all machines at once.  From a clone it sends the clone and runs
    launch/install there, which makes .venv where there is none; else it has pip install this
    version.  Models and data are not sent.  Ends with 1 if it failed somewhere.
    """
    from mpiedge.hosts.parcel import pack  # noqa: PLC0415 - not for --help
    from mpiedge.hosts.sending import send  # noqa: PLC0415
    from mpiedge.launch.hostfile import read  # noqa: PLC0415
    from mpiedge.launch.probe import agent_of  # noqa: PLC0415

    machines, parcel = read(file), pack(files)
    if dry_run:
        places = ", ".join([parcel.root, *parcel.files])
        click.echo(
            f"to {', '.join(machine.name for machine in machines)}: {places} "
            f"({len(parcel.content) / 2**20:.1f} MiB); then: {' '.join(parcel.command)}"
        )
        return
    found = send(
        machines,
        agent_of(os.environ),
        parcel,
        lambda one: None if for_program else click.echo(str(one)),
    )
    if for_program:
        click.echo(json.dumps([one._asdict() for one in found], indent=1))
    context.exit(FAILED if any(one.trouble for one in found) else 0)
