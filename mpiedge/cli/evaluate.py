"""``mpiedge evaluate``: score a trained adapter again, on any number of ranks."""

from pathlib import Path

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge evaluate runs/reviews
  mpiedge evaluate runs/reviews --set task.data=other/reviews
  mpiedge launch -n 2 -- evaluate runs/reviews
"""


@click.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one setting, as in task.data=other/folder; may be repeated.",
)
def evaluate(folder: Path, overrides: tuple[str, ...]) -> None:
    """Score the result of a run, DIR, on its validation examples; prints the metrics as JSON."""
    with loading():
        from mpiedge.cli import work  # noqa: PLC0415 - not for --help

    work.evaluate_as_rank(folder, overrides)
