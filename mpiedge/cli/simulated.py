"""What ``mpiedge simulate`` does on every rank, and what rank 0 writes and prints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from mpiedge.cli.overriding import with_cluster
from mpiedge.cli.printing import show
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings, read
from mpiedge.doctor.table import Sheet
from mpiedge.errors import BadInput
from mpiedge.plan.trace import trace
from mpiedge.run.drawing import check, draw
from mpiedge.run.opener import Opener
from mpiedge.run.ranks import as_rank
from mpiedge.run.simulating import Simulated, as_values, simulate_run

_MIB = 2**20


class Asked(NamedTuple):
    """What is to be played."""

    run_file: Path
    overrides: Sequence[str]
    ranks: int | None  # None: those there are
    cluster: str  # empty: the run file's
    phase: int
    batches: int


class Files(NamedTuple):
    """Where it goes."""

    picture: Path | None
    trace: Path | None


def simulate_as_rank(asked: Asked, files: Files, *, for_program: bool) -> None:
    """Play some batches of a run, write the files that are asked for, and print the numbers."""

    def work(settings: RunSettings, transport: Transport) -> None:
        if files.picture is not None:
            picture = files.picture
            collectively(transport, lambda: check(picture))
        opened = Opener(transport, asked.run_file.parent, asked.ranks or 0)(settings)
        one = simulate_run(opened, asked.phase, asked.batches)
        collectively(transport, lambda: None if transport.rank else _write(one, files))
        if transport.rank:
            return
        if for_program:
            click.echo(json.dumps(as_values(one), indent=2))
        else:
            show([_ranks(one)], _notes(one, files))

    overrides = with_cluster(asked.overrides, asked.cluster)
    as_rank(lambda: read(asked.run_file, overrides), work)


def _write(one: Simulated, files: Files) -> None:
    try:
        for path in (each for each in files if each is not None):
            path.parent.mkdir(parents=True, exist_ok=True)
        if files.picture is not None:
            draw(one, files.picture)
        if files.trace is not None:
            files.trace.write_text(json.dumps(trace(one.part, one.found)), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the simulation cannot be written: {error}") from None


def _ranks(one: Simulated) -> Sheet:
    head = ("rank", "busy, s", "busy", "bubble", "memory, MiB", "of it in flight")
    rows = (
        (
            str(rank),
            f"{use.busy:.3g}",
            f"{use.utilisation:.1%}",
            f"{1 - use.utilisation:.1%}",
            f"{use.memory.total / _MIB:.1f}",
            f"{use.memory.in_flight / _MIB:.1f}",
        )
        for rank, use in one.found.ranks.items()
    )
    return Sheet(f"{one.strategy}, phase {one.phase} of {one.phases}", head, tuple(rows))


def _notes(one: Simulated, files: Files) -> list[str]:
    lines = [f"time: {one.found.seconds:.3g} s for {one.part.batches} batches"]
    lines += [f"picture: {files.picture}"] if files.picture else []
    return lines + ([f"trace: {files.trace}, for ui.perfetto.dev"] if files.trace else [])
