"""``mpiedge testbed``: a cluster of small devices on this machine, and what can befall it."""

import os
import shlex
import time
from pathlib import Path
from typing import Any

import click

from mpiedge.cli.group import COMMANDS
from mpiedge.cli.launch import ALONE, READS
from mpiedge.errors import BadInput
from mpiedge.launch import command, terminal
from mpiedge.launch import job as launched
from mpiedge.testbed import cluster, faults, removing, running, standing, usage
from mpiedge.testbed.building import described
from mpiedge.testbed.faults import Fault, Kind
from mpiedge.testbed.findings import check as check_machine
from mpiedge.testbed.findings import findings
from mpiedge.testbed.guard import guarded
from mpiedge.testbed.machine import look
from mpiedge.testbed.scaling import scaled

FILE = click.Path(path_type=Path)
FAULT_EXAMPLES = """\b
Examples:
  mpiedge testbed fault cut nano-2 --for 5
  mpiedge testbed fault slow nano-3 --factor 4
  mpiedge testbed fault kill nano-1 --cluster nano-8
"""
RUN_EXAMPLES = """\b
Examples:
  mpiedge testbed run hostfiles/nano-8.toml -- train run.toml
  mpiedge testbed run hostfiles/wifi-4.toml -n 2 -- python program.py
"""
STATUS_EXAMPLES = """\b
Examples:
  mpiedge testbed status
"""
DOWN_EXAMPLES = """\b
Examples:
  mpiedge testbed down
  mpiedge testbed down mixed-4
"""
UP_EXAMPLES = """\b
Examples:
  mpiedge testbed up hostfiles/mixed-4.toml
"""
CHECK_EXAMPLES = """\b
Examples:
  mpiedge testbed check
  mpiedge testbed check hostfiles/nano-8.toml
"""


@click.group()
def testbed() -> None:
    """Emulate a cluster of small devices on this machine (Linux, as root).

    A CLUSTER is a file that describes one, such as hostfiles/nano-8.toml.
    """


@testbed.command("check", epilog=CHECK_EXAMPLES)
@click.argument("file", type=FILE, metavar="[CLUSTER]", required=False)
@click.pass_context
def check(context: click.Context, /, file: Path | None) -> None:
    """Say which part this machine lacks; with a CLUSTER, what that one needs and how it is scaled.

    Ends with 1 if something is missing.
    """
    asked = cluster.read(file) if file else None
    devices = scaled(asked) if asked else ()
    machine = look(trial=True)
    found = findings(machine, devices)
    for problem in found:
        click.echo(f"missing: {problem}")
    if found:
        context.exit(1)
    if asked:
        check_machine(machine, asked.name, devices)
    for device in devices:
        click.echo(usage.share(device))
    netem = "netem" if "netem" not in machine.lacks else "a program, since there is no netem"
    version = machine.trees.version if machine.trees else 0
    click.echo(f"testbeds can run here: control groups version {version}, delays by {netem}")


@testbed.command("up", epilog=UP_EXAMPLES)
@click.argument("file", type=FILE, metavar="CLUSTER")
def up(file: Path) -> None:
    """Make the devices of CLUSTER; they stand until 'down'."""
    made = described(cluster.read(file))
    with guarded(made) as stays:
        stays()
    click.echo("\n".join(usage.lines(standing.load(made.folder) or made)))


@testbed.command("down", epilog=DOWN_EXAMPLES)
@click.argument("names", nargs=-1, metavar="[CLUSTER]...")
def down(names: tuple[str, ...]) -> None:
    """Take testbeds down; without CLUSTER all that no running command has made for itself."""
    _need_root()
    known = standing.every()
    asked = {cluster.name_of(Path(name)) for name in names}
    absent = sorted(asked - {each.cluster for each in known})
    if absent:
        there = ", ".join(each.cluster for each in known) or "none"
        raise BadInput(f"no testbed of the cluster {absent[0]} stands; there are: {there}")
    for each in known:
        owned = each.owner is not None and each.owner.lives
        if each.cluster in asked or not (asked or owned):
            removing.remove(each)
            click.echo(f"{each.cluster} is down")


@testbed.command("status", epilog=STATUS_EXAMPLES)
def status() -> None:
    """List the testbeds that stand, their devices, and what those have used."""
    for each in standing.every():
        click.echo("\n".join(usage.lines(each)))


@testbed.command("run", epilog=RUN_EXAMPLES, options_metavar="[OPTIONS]")
@click.argument("file", type=FILE, metavar="CLUSTER")
@click.option("-n", "--ranks", type=int, metavar="N", help="Use only the first N devices.")
@click.option("--report", type=FILE, metavar="FILE", help="Write the run's figures as JSON.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND ...")
@click.pass_context
def run(context: click.Context, /, file: Path, words: tuple[str, ...], **options: Any) -> None:
    """Run a command of mpiedge, or a program, with a rank on every device of CLUSTER.

    Makes the devices and takes them down at the end, or uses those that 'up' has made.  Ends with
    the job's exit code.  Ctrl-C ends the job.
    """
    asked = cluster.read(file)
    there = standing.load(standing.ROOT / asked.name)
    if there is not None and there.owner is None:
        context.exit(_run(there, words, **options))
    made = described(asked)
    with guarded(made):
        code = _run(made, words, **options)
    context.exit(code)


def _run(
    on: standing.Standing, words: tuple[str, ...], ranks: int | None, report: Path | None
) -> int:
    _need_root()
    commands = [name for name in COMMANDS if name not in ALONE | {"testbed"}]
    planned = running.job_of(on, words, os.environ, commands=commands, ranks=ranks)
    click.echo(shlex.join(command.words(launched.mpirun(), planned)), err=True)
    began = time.monotonic()
    environment = {**os.environ, **terminal.variables()}
    code = running.run(on, planned, environment, reads=words[0] in READS)
    if report is not None:
        report.write_text(usage.report(on, code, time.monotonic() - began), encoding="utf-8")
    return code


@testbed.command("fault", epilog=FAULT_EXAMPLES)
@click.argument("kind", type=click.Choice([each.value for each in Kind]))
@click.argument("name", metavar="DEVICE")
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="Mend it after so long.")
@click.option("--factor", type=float, default=1.0, metavar="F", help="How many times slower.")
@click.option("--cluster", "which", metavar="NAME", help="Whose device, if several have one.")
def fault(kind: str, name: str, which: str | None, **options: Any) -> None:
    """Let something go wrong on DEVICE, now, with a line in the testbed's log.

    \b
    kill   it loses its power
    cut    its cable is pulled
    slow   it gets slower, --factor times
    fill   its memory is filled until something there is killed, or for --for (60) seconds
    mend   power, cable and speed are back
    """
    _need_root()
    place, device = standing.with_device(name, which)
    faults.happen(place, device, faults.checked(Fault(Kind(kind), **options), device))


def _need_root() -> None:
    if os.geteuid() != 0:
        raise BadInput("a testbed can be changed only by root; use sudo")
