"""What ``mpiedge profile`` does on every rank."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from mpiedge.cli.ranks import as_rank
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import agree, collectively, gather
from mpiedge.config import RunSettings, read
from mpiedge.doctor.links import measure
from mpiedge.run.opening import open_run
from mpiedge.run.profiling import Link, devices, profile, write


def profile_as_rank(run_file: Path, overrides: Sequence[str], output: Path) -> None:
    """Measure devices and links for a run, and write the profile on rank 0."""

    def work(settings: RunSettings, transport: Transport) -> None:
        started = time.monotonic()
        # What an earlier profile says has no part in a new one.
        settings = replace(settings, strategy=replace(settings.strategy, cluster=""))
        opened = open_run(settings, transport, run_file.parent)
        members = devices(opened)
        links = _links(transport)
        values = profile(opened, members, links)
        collectively(transport, lambda: write(values, output) if transport.rank == 0 else None)
        if transport.rank == 0:
            count, taken = len(members), time.monotonic() - started
            what = "1 device" if count == 1 else f"{count} devices and {len(links)} links"
            click.echo(f"measured {what} in {taken:.0f} s: {output}")

    as_rank(lambda: read(run_file, overrides), work)


def _links(transport: Transport) -> list[Link]:
    """The links of all pairs, the same on all ranks."""
    rows = agree(transport, gather(transport, [list(link) for link in measure(transport)]))
    return [Link(*link) for row in rows for link in row]
