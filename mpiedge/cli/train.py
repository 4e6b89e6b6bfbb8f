"""``mpiedge train``: fine-tune as a run file says, alone or as one rank of many."""

from pathlib import Path

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge train launch/quickstart.toml
  mpiedge train run.toml --set training.epochs=1 --output-dir runs/short
  mpiedge train run.toml --resume latest
  mpiedge launch -n 4 -- train run.toml --trace
"""


@click.command(epilog=EXAMPLES)
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
@click.option(
    "--resume",
    metavar="DIR|latest|auto",
    help="Go on with the interrupted run in DIR, its output directory; latest: in --output-dir; "
    "auto: the same, but from the start where there is no whole checkpoint.",
)
@click.option(
    "--trace",
    is_flag=True,
    help="Record what each rank does when, in trace.json, for ui.perfetto.dev.",
)
@click.option(
    "--plain", is_flag=True, help="Print lines also on a terminal, where else a view is live."
)
def train(
    run_file: Path,
    *,
    overrides: tuple[str, ...],
    output_dir: Path | None,
    resume: str | None,
    trace: bool,
    plain: bool,
) -> None:
    """Fine-tune a model as RUN.toml says.

    Runs alone, or as one rank under mpirun or ``mpiedge launch``.  Leaves the tuned weights in
    adapter/, the settings in run.toml, the steps in metrics.jsonl and the rest in result.json.
    """
    with loading():
        from mpiedge.cli import work  # noqa: PLC0415 - not for --help

    folder = folder_of(run_file, output_dir, resume)
    work.train_as_rank(run_file, overrides, folder, resume=resume, trace=trace, plain=plain)


def folder_of(run_file: Path, output_dir: Path | None, resume: str | None) -> Path:
    """Where the result goes."""
    if resume is not None and resume not in ("latest", "auto"):
        return Path(resume)
    return output_dir or Path("runs") / run_file.stem
