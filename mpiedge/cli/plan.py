"""``mpiedge plan``: what a run would be, on devices that need not be here."""

from pathlib import Path
from typing import Any

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge plan run.toml --ranks 4
  mpiedge plan run.toml --ranks 4 --strategy auto
  mpiedge plan run.toml --cluster hostfiles/nano-8.toml
  mpiedge launch --hostfile hostfiles/jetson-4 -- plan run.toml
"""


@click.command(epilog=EXAMPLES)
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.toml")
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Plan for N devices like this one; left out: for the ranks that were started.",
)
@click.option(
    "--cluster",
    default="",
    metavar="FILE",
    help="A cluster profile: the devices and links to plan for; the setting strategy.cluster.",
)
@click.option(
    "--strategy",
    default="",
    metavar="NAME|auto",
    help="Another strategy than the run file's; auto: all of them, ranked.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one setting of the run file, as in strategy.blocks=4; may be repeated.",
)
@click.option("--json", "for_program", is_flag=True, help="Print the plan as JSON.")
def plan(run_file: Path, *, for_program: bool, **options: Any) -> None:
    """Say what a run of RUN.toml would do and need, before any weights are read.

    Who has which layers, memory by kind, seconds, messages and disk; for deft and fedlora also what
    each block takes on each client, and the first round by every scheme.
    """
    with loading():
        from mpiedge.cli import planned  # noqa: PLC0415 - not for --help

    planned.plan_as_rank(planned.Asked(run_file, **options), for_program=for_program)
