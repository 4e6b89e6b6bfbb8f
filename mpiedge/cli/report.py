"""``mpiedge report``: what runs left behind, as one page to open in a browser."""

from importlib.util import find_spec
from pathlib import Path

import click

from mpiedge.errors import BadInput

EXAMPLES = """\b
Examples:
  mpiedge report runs/home
  mpiedge report runs/one-board runs/four-boards -o compared.html --figures figures
"""


@click.command(epilog=EXAMPLES)
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR..."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The page.",
)
@click.option(
    "--figures", type=click.Path(path_type=Path), help="A folder for each figure as PNG and SVG."
)
def report(folders: tuple[Path, ...], output: Path, figures: Path | None) -> None:
    """Show what happened in the runs whose output directories are DIR..., side by side.

    The page needs nothing else: no network, no other file.  A run that has not finished is shown
    as far as it went.
    """
    for library in ("matplotlib", "jinja2"):
        if find_spec(library) is None:
            raise BadInput(
                f"{library}, which the report needs, is not installed: pip install 'mpiedge[plots]'"
            )
    from mpiedge.report import page, reading  # noqa: PLC0415 - not for --help

    page.report([reading.read(folder) for folder in folders], output, figures)
    also = f", figures in {figures}" if figures else ""
    click.echo(f"report: {output}{also}")
