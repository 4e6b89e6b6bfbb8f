"""``mpiedge export``: the result of a run as a model that plain transformers loads."""

from pathlib import Path

import click

from mpiedge.cli.loading import loading

EXAMPLES = """\b
Examples:
  mpiedge export runs/reviews reviews-model
  mpiedge export runs/reviews reviews-model --model /models/bert-base
"""


@click.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("place", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option(
    "--model",
    "base",
    default="",
    metavar="MODEL",
    help="Where the pretrained model lies now, if no longer where the run found it.",
)
def export(folder: Path, place: Path, base: str) -> None:
    """Write the model that a run made, DIR, to a new FOLDER for transformers.

    LoRA is merged into the weights; full fine-tuning is taken as it is.  The tokenizer, the names
    of the labels and a model card come along.  Bottleneck and parallel adapters cannot be merged:
    mpiedge.load gives a model with these.  Done on one device, without MPI.
    """
    with loading():
        from transformers.utils import logging  # noqa: PLC0415 - not for --help

        from mpiedge.run.exporting import export as written  # noqa: PLC0415

    logging.disable_progress_bar()
    written(folder, place, base=base)
    click.echo(f"{place}: load it with from_pretrained({str(place)!r}) of transformers")
