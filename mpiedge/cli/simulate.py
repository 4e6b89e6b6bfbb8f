"""``mpiedge simulate``: who computes when, as a picture and as a trace, before anything runs."""

from pathlib import Path
from typing import Any

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge simulate run.toml --ranks 4
  mpiedge simulate run.toml --ranks 4 --output timeline.svg --trace timeline.json
"""


@click.command(epilog=EXAMPLES)
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.toml")
@click.option(
    "--ranks", type=click.IntRange(min=1), metavar="N", help="For N devices like this one."
)
@click.option("--cluster", default="", metavar="FILE", help="A cluster profile to play against.")
@click.option(
    "--phase",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Which phase of the run; pac has two, a ring one for each depth.",
)
@click.option(
    "--batches", type=click.IntRange(min=1), default=4, show_default=True, help="How many batches."
)
@click.option("--output", type=click.Path(path_type=Path), help="The picture, a .png or .svg file.")
@click.option(
    "--trace", type=click.Path(path_type=Path), help="The trace, a .json file for Perfetto."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one setting of the run file; may be repeated.",
)
@click.option("--json", "for_program", is_flag=True, help="Print the numbers as JSON.")
def simulate(run_file: Path, *, for_program: bool, **options: Any) -> None:
    """Play some batches of RUN.toml against the cost model: how busy each rank is, and when."""
    with loading():
        from mpiedge.cli import simulated  # noqa: PLC0415 - not for --help

    files = simulated.Files(options.pop("output"), options.pop("trace"))
    asked = simulated.Asked(run_file, **options)
    simulated.simulate_as_rank(asked, files, for_program=for_program)
