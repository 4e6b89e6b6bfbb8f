"""What ``mpiedge plan`` does on every rank, and how rank 0 prints it.

Apart from the command, which imports it when it is used, as the rest of the work of commands.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from mpiedge.cli import choice_sheets, plan_sheets
from mpiedge.cli.overriding import with_cluster, with_strategy
from mpiedge.cli.printing import show
from mpiedge.comm.transport import Transport
from mpiedge.config import RunSettings, read
from mpiedge.doctor.table import Sheet
from mpiedge.run import choosing, foresight
from mpiedge.run.opener import Opener
from mpiedge.run.ranks import as_rank

AUTO = "auto"


class Asked(NamedTuple):
    """What a plan is asked for."""

    run_file: Path
    overrides: Sequence[str]
    ranks: int | None  # None: those there are
    cluster: str  # empty: the run file's
    strategy: str  # empty: the run file's


class Shown(NamedTuple):
    """What there is to print."""

    values: object
    tables: Sequence[Sheet]
    lines: Sequence[str]


def plan_as_rank(asked: Asked, *, for_program: bool) -> None:
    """Plan a run as a run file says, and print it."""

    def work(settings: RunSettings, transport: Transport) -> None:
        opener = Opener(transport, asked.run_file.parent, asked.ranks or 0)
        shown = _chosen(opener, settings) if asked.strategy == AUTO else _one(opener, settings)
        if transport.rank:
            return
        if for_program:
            click.echo(json.dumps(shown.values, indent=2))
        else:
            show(shown.tables, shown.lines)

    as_rank(lambda: read(asked.run_file, _overrides(asked)), work)


def _overrides(asked: Asked) -> Sequence[str]:
    overrides = with_cluster(asked.overrides, asked.cluster)
    return with_strategy(overrides, "" if asked.strategy == AUTO else asked.strategy)


def _one(opener: Opener, settings: RunSettings) -> Shown:
    found = foresight.foresee(opener(settings))
    return Shown(foresight.values(found), plan_sheets.sheets(found), plan_sheets.notes(found))


def _chosen(opener: Opener, settings: RunSettings) -> Shown:
    found = choosing.candidates(opener, settings)
    tables, lines = choice_sheets.sheets(found), choice_sheets.notes(found)
    return Shown(choosing.as_values(found), tables, lines)
