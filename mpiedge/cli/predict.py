"""``mpiedge predict``: use a trained adapter on text from the command line or standard input."""

import json
from pathlib import Path

import click

from mpiedge.cli.inputs import inputs
from mpiedge.cli.ranks import as_rank
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings
from mpiedge.run.prediction import Text
from mpiedge.run.prediction import predict as answers
from mpiedge.run.reopening import reopen, settings_of


@click.command()
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
    as_rank(
        lambda: settings_of(folder, overrides),
        lambda s, t: _predict(s, t, folder, texts, max_tokens),
    )


def _predict(
    settings: RunSettings, transport: Transport, folder: Path, texts: Text, most: int
) -> None:
    width = len(settings.task.text)
    given = collectively(transport, lambda: inputs(texts, width) if transport.rank == 0 else [])
    model = reopen(folder, settings, transport)
    for number, answer in enumerate(answers(model, given, most)):
        click.echo(json.dumps({"input": list(given[number]), **answer}, ensure_ascii=False))
