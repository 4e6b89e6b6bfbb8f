"""``mpiedge compare``: a plan and what a run measured, side by side."""

from pathlib import Path

import click

EXAMPLES = """\b
Examples:
  mpiedge plan run.toml --ranks 2 --cluster cluster.toml --json > plan.json
  mpiedge launch -n 2 -- train run.toml
  mpiedge compare plan.json runs/run
"""


@click.command(epilog=EXAMPLES)
@click.argument("plan_file", type=click.Path(path_type=Path), metavar="PLAN")
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--json", "for_program", is_flag=True, help="Print the pairs as JSON.")
def compare(plan_file: Path, folder: Path, *, for_program: bool) -> None:
    """Hold PLAN, which mpiedge plan --json wrote, against RUN, the output directory of a run.

    Seconds of epochs, memory of each rank, messages and bytes of each link, and their ratio.
    """
    from mpiedge.cli import compared  # noqa: PLC0415 - not for --help

    compared.compare_files(plan_file, folder, for_program=for_program)
