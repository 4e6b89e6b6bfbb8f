"""``mpiedge predict``: use a trained adapter on text from the command line or standard input."""

from pathlib import Path

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge predict runs/reviews "a lovely film"
  mpiedge predict runs/pairs "It rains." "Rain falls."
  mpiedge predict runs/notes --max-tokens 40 < prompts.txt
"""


@click.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("texts", nargs=-1, metavar='["TEXT" ["SECOND TEXT"]]')
@click.option(
    "--max-tokens",
    default=64,
    show_default=True,
    type=click.IntRange(min=1),
    help="A model that generates text stops after so many tokens.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one setting, as in model.name=new/folder; may be repeated.",
)
def predict(
    folder: Path, texts: tuple[str, ...], max_tokens: int, overrides: tuple[str, ...]
) -> None:
    """Use the result of a run, DIR, on a text or a pair of texts.

    Without TEXT, takes one input a line from the standard input: a text, a pair parted by a tab,
    or a JSON list of one or two texts.  Prints one JSON object an input.  A text that begins with
    a dash goes behind --.
    """
    with loading():
        from mpiedge.cli import work  # noqa: PLC0415 - not for --help

    work.predict_as_rank(folder, overrides, texts, max_tokens)
