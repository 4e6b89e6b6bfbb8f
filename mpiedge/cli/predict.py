"""``mpiedge predict``: use a trained adapter on text from the command line or standard input."""

import json
import os
from pathlib import Path

import click

from mpiedge.cli.ranks import as_rank
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.launch.standard_input import lines
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
def predict(folder: Path, texts: tuple[str, ...], max_tokens: int) -> None:
    """Use the result of a run, DIR, on a text or a pair of texts.

    Without TEXT, takes one input a line from the standard input: a text, a pair parted by a tab,
    or a JSON list of one or two texts.  Prints one JSON object an input.
    """
    as_rank(lambda: settings_of(folder), lambda s, t: _predict(s, t, folder, texts, max_tokens))


def _predict(
    settings: RunSettings, transport: Transport, folder: Path, texts: Text, most: int
) -> None:
    given = collectively(transport, lambda: _inputs(texts) if transport.rank == 0 else [])
    model = reopen(folder, settings, transport)
    for number, answer in enumerate(answers(model, given, most)):
        click.echo(json.dumps({"input": list(given[number]), **answer}, ensure_ascii=False))


def _inputs(texts: Text) -> list[Text]:
    if len(texts) > 2:
        raise BadInput(
            f"{len(texts)} texts were given, and an input is one text or a pair; quote each text, "
            f"or give many inputs on the standard input, one a line"
        )
    if texts:
        return [texts]
    with lines(os.environ) as read:
        found = [_input(number, line.rstrip("\n")) for number, line in enumerate(read, start=1)]
    if not found:
        raise BadInput("nothing to predict: give a text, or one input a line on standard input")
    return found


def _input(number: int, line: str) -> Text:
    if not line.lstrip().startswith("["):
        return tuple(line.split("\t"))
    try:
        parts = json.loads(line)
    except ValueError as error:
        raise BadInput(f"line {number} of the input is not JSON: {error}") from None
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, str) for part in parts):
        raise BadInput(f"line {number} of the input has to be a list of one or two texts")
    return tuple(parts)
