"""``mpiedge init``: five questions, or as many options, and a run file to start from."""

from pathlib import Path
from typing import Any

import click

TASKS = ("classification", "regression", "language", "seq2seq")
EXAMPLES = """\b
Examples:
  mpiedge init
  mpiedge init --data reviews.csv --devices 4 --yes
  mpiedge init --data home --devices pi-1,pi-2,pi-3 --texts each --name reviews
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--data",
    metavar="PATH",
    help="A file of examples, or a folder with train and validation files.",
)
@click.option("--task", type=click.Choice(TASKS), help="What is to be learnt.")
@click.option("--model", metavar="MODEL", help="A folder in the Hugging Face format, or a hub id.")
@click.option(
    "--devices",
    metavar="N|HOST,...",
    help="How many ranks on this machine, or the machines, this one first.",
)
@click.option(
    "--texts",
    type=click.Choice(["here", "each"]),
    help="Whether all texts are here, or on each device its own, under the same path.",
)
@click.option(
    "--text", multiple=True, metavar="COLUMN", help="The column of the text; twice for a pair."
)
@click.option("--label", default="", metavar="COLUMN", help="The column of the label or output.")
@click.option("--strategy", default="", metavar="NAME", help="Left out: one that suits.")
@click.option("--name", default="", help="Of the files; left out: as the data is called.")
@click.option("--yes", is_flag=True, help="Do not ask: take what is usual.")
def init(**options: Any) -> None:
    """Write a run file to start from, and a hostfile where there are several machines.

    Looks into the data and asks for what is not given: the data, the task, the model, the devices
    and where the texts are.  Nothing is written over.
    """
    from mpiedge.cli import begun  # noqa: PLC0415 - not for --help

    begun.begin(begun.Given(**options), Path())
