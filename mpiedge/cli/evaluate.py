"""``mpiedge evaluate``: score a trained adapter again, on any number of ranks."""

import json
from pathlib import Path

import click

from mpiedge.cli.ranks import as_rank
from mpiedge.comm.transport import Transport
from mpiedge.config import RunSettings
from mpiedge.pipeline.engine import Engine
from mpiedge.run.evaluation import observe, validation_of
from mpiedge.run.examples import count, read
from mpiedge.run.reopening import reopen, settings_of


@click.command()
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
    as_rank(lambda: settings_of(folder, overrides), lambda s, t: _evaluate(s, t, folder))


def _evaluate(settings: RunSettings, transport: Transport, folder: Path) -> None:
    model = reopen(folder, settings, transport)
    opened = model.opened
    examples = read(opened, model.plan, count(opened, ("validation",)))
    engine = Engine(transport, model.shard, opened.task, lambda plan: None)
    observed = observe(transport, engine, validation_of(opened, model.plan, examples))
    if observed is not None:
        click.echo(json.dumps(opened.task.score(observed)))
