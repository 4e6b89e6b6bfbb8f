"""``mpiedge profile``: measure devices and links, for plans that go by them."""

from pathlib import Path

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge profile run.toml
  mpiedge launch --hostfile hostfiles/jetson-4 -- profile run.toml --output jetsons.toml
  mpiedge plan run.toml --cluster jetsons.toml
"""


@click.command(epilog=EXAMPLES)
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.toml")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cluster.toml"),
    show_default=True,
    help="The file that the profile is written to.",
)
@click.option(
    "--max-age",
    "days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Use the file again when it is of this model and these hosts and younger; 0: never.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one setting of the run file; may be repeated.",
)
def profile(run_file: Path, *, output: Path, days: int, overrides: tuple[str, ...]) -> None:
    """Measure how fast every rank and link is for the model of RUN.toml.

    One layer of each kind is timed on every rank, forward and backward, and the link of every pair.
    """
    with loading():
        from mpiedge.cli import profiled  # noqa: PLC0415 - not for --help

    profiled.profile_as_rank(run_file, overrides, output, days)
