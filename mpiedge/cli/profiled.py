"""What ``mpiedge profile`` does on every rank."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import agree, collectively, gather
from mpiedge.config import RunSettings, read
from mpiedge.doctor.links import measure
from mpiedge.run.extent import counted
from mpiedge.run.measuring import sizes
from mpiedge.run.opening import open_run
from mpiedge.run.profiling import Link, devices, profile, write
from mpiedge.run.ranks import as_rank
from mpiedge.run.staleness import why_measure

EXAMPLES = 1000  # whose lengths are looked at


def profile_as_rank(run_file: Path, overrides: Sequence[str], output: Path, days: int) -> None:
    """Measure devices and links for a run, and write the profile on rank 0.

    Nothing is measured where one that is younger than ``days`` still holds.
    """

    def work(settings: RunSettings, transport: Transport) -> None:
        started = time.monotonic()
        opened = open_run(_for_profile(settings), transport, run_file.parent)
        timed = sizes(opened, counted(opened).tokens)
        why = why_measure(opened, timed, output, days)
        if not why:
            if transport.rank == 0:
                click.echo(f"{output} still holds; --max-age 0 measures again")
            return
        if transport.rank == 0 and output.exists():
            click.echo(f"{output} is measured again: {why}")
        members = devices(opened, timed)
        links = _links(transport)
        values = profile(opened, members, links, timed)
        collectively(transport, lambda: write(values, output) if transport.rank == 0 else None)
        if transport.rank == 0:
            count, taken = len(members), time.monotonic() - started
            what = "1 device" if count == 1 else f"{count} devices and {len(links)} links"
            click.echo(f"measured {what} in {taken:.0f} s: {output}")

    as_rank(lambda: read(run_file, overrides), work)


def _for_profile(settings: RunSettings) -> RunSettings:
    """A run of enough examples to tell how long they are, in micro-batches that somebody chose.

    What an earlier profile says has no part in a new one.
    """
    task, training = settings.task, settings.training
    size = training.micro_batch_size or max(1, training.batch_size // 4)
    return replace(
        settings,
        strategy=replace(settings.strategy, cluster=""),
        task=replace(task, train_examples=min(task.train_examples or EXAMPLES, EXAMPLES)),
        training=replace(training, micro_batch_size=size),
    )


def _links(transport: Transport) -> list[Link]:
    """The links of all pairs, the same on all ranks."""
    rows = agree(transport, gather(transport, [list(link) for link in measure(transport)]))
    return [Link(*link) for row in rows for link in row]
