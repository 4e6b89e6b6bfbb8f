"""What the commands do on every rank.

Apart from the commands, which import it when they are used: torch takes seconds and hundreds of
megabytes that a look at ``--help`` should not cost.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from mpiedge.cli.inputs import inputs
from mpiedge.cli.screen import console
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings, read
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.turns import Settled
from mpiedge.run import examples
from mpiedge.run.evaluation import observe, validation_of
from mpiedge.run.job import Job, train
from mpiedge.run.prediction import Text, predict
from mpiedge.run.progress import Silent, shown_on
from mpiedge.run.ranks import as_rank
from mpiedge.run.reopening import reopen, settings_of


def train_as_rank(
    run_file: Path,
    overrides: Sequence[str],
    folder: Path,
    *,
    resume: str | None = None,
    trace: bool = False,
    plain: bool = False,
) -> None:
    """Train as a run file says, into a folder; or go on with what was begun there.

    ``resume`` is as on the command line; auto: from the start where there is nothing to go on with.
    With ``trace`` what every rank did when is written there, too; ``plain`` draws nothing live.
    """

    def work(settings: RunSettings, transport: Transport) -> None:
        started = time.monotonic()
        progress = shown_on(console(plain=plain)) if transport.rank == 0 else Silent()
        anew = resume == "auto"
        going_on = resume is not None and not anew
        job = Job(folder, run_file.parent, resume=going_on, anew=anew, trace=trace)
        scores = train(settings, transport, job, progress)
        if transport.rank == 0:
            words = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
            click.echo(f"done in {time.monotonic() - started:.0f} s: {words}; saved in {folder}")

    as_rank(lambda: read(run_file, overrides), work)


def evaluate_as_rank(folder: Path, overrides: Sequence[str]) -> None:
    """Score the result in a folder, and print the metrics."""

    def work(settings: RunSettings, transport: Transport) -> None:
        model = reopen(folder, settings, transport)
        opened = model.opened
        counts = examples.count(opened, ("validation",))
        found = examples.read(opened, model.plan.starts, counts)
        validation = validation_of(opened, model.plan, found)
        engine = Engine(transport, model.shard, opened.task, Settled())
        observed = observe(transport, engine, validation)
        if observed is not None:
            click.echo(json.dumps(opened.task.score(observed)))

    as_rank(lambda: settings_of(folder, overrides), work)


def predict_as_rank(folder: Path, overrides: Sequence[str], texts: Text, most: int) -> None:
    """Use the result in a folder on texts, and print the answers."""

    def work(settings: RunSettings, transport: Transport) -> None:
        width = len(settings.task.text)
        given = collectively(transport, lambda: inputs(texts, width) if transport.rank == 0 else [])
        model = reopen(folder, settings, transport)
        for number, answer in enumerate(predict(model, given, most)):
            click.echo(json.dumps({"input": list(given[number]), **answer}, ensure_ascii=False))

    as_rank(lambda: settings_of(folder, overrides), work)
