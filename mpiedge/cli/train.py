"""``mpiedge train``: fine-tune as a run file says, alone or as one rank of many."""

import time
from pathlib import Path

import click

from mpiedge.cli.ranks import as_rank
from mpiedge.cli.screen import console
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings, read
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.output import Output
from mpiedge.run.progress import Silent, shown_on
from mpiedge.run.training import train as run_training


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN.toml")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one setting of the run file, as in training.epochs=1; may be repeated.",
)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    help="Where the result goes; left out: runs/ and the run file's name.",
)
def train(run_file: Path, overrides: tuple[str, ...], output_dir: Path | None) -> None:
    """Fine-tune a model as RUN.toml says.

    Runs alone, or as one rank under mpirun or ``mpiedge launch``.  Leaves the tuned weights in
    adapter/, the settings in run.toml, the steps in metrics.jsonl and the rest in result.json.
    """
    folder = output_dir or Path("runs") / run_file.stem
    as_rank(lambda: read(run_file, overrides), lambda s, t: _train(s, t, run_file, folder))


def _train(settings: RunSettings, transport: Transport, run_file: Path, folder: Path) -> None:
    started = time.monotonic()
    output = collectively(transport, lambda: Output(folder) if transport.rank == 0 else None)
    opened = open_run(settings, transport, beside=run_file.parent)
    progress = shown_on(console()) if transport.rank == 0 else Silent()
    journal = Journal(output, progress)
    try:
        run_training(opened, journal)
    finally:
        progress.close()
    if transport.rank == 0:
        words = "  ".join(f"{name} {value:.4f}" for name, value in journal.scores.items())
        click.echo(f"done in {time.monotonic() - started:.0f} s: {words}; saved in {folder}")
