"""The doctor's report, for a terminal, a file or a program."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.table import Table

from mpiedge.doctor.facts import Facts
from mpiedge.doctor.report import Link, Report

WELL = "Nothing is wrong."


class Sheet(NamedTuple):
    """A titled table of words."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_json(report: Report) -> str:
    """The report for a program."""
    return json.dumps(
        {
            "ranks": [asdict(rank) for rank in report.ranks],
            "links": [link._asdict() for link in report.links],
            "findings": [finding._asdict() for finding in report.findings],
        },
        indent=2,
    )


def as_text(report: Report) -> str:
    """The report in plain lines."""
    parts = [plain(sheet) for sheet in sheets(report)]
    problems = [f"WRONG: {each.problem}\n  mend: {each.repair}" for each in report.findings]
    return "\n\n".join([*parts, "\n".join(problems) or WELL])


def draw(report: Report, screen: TextIO) -> None:
    """The report on a terminal."""
    console = Console(file=screen)
    for sheet in sheets(report):
        console.print(ruled(sheet))
    for finding in report.findings:
        console.print(f"✗ {finding.problem}", style="red", markup=False)
        console.print(f"  {finding.repair}", markup=False)
    if not report.findings:
        console.print(WELL, style="green")


def ruled(sheet: Sheet) -> Table:
    """A table with lines around it, for a terminal."""
    table = Table(*sheet.head, title=sheet.title, title_justify="left", title_style="bold")
    for row in sheet.rows:
        table.add_row(*row)
    return table


def sheets(report: Report) -> list[Sheet]:
    """The report as tables: versions, ranks, links."""
    tables = [_versions(report.ranks[0]), _ranks(report.ranks)]
    return [*tables, _links(report.links)] if report.links else tables


def _versions(first: Facts) -> Sheet:
    mpi = first.mpi.library or first.mpi.trouble or "none"
    threads = "several threads may call it" if first.mpi.multiple else "one thread may call it"
    rows = [
        ("python", first.python),
        *first.versions.items(),
        ("MPI", f"{mpi} ({threads})" if first.mpi.library else mpi),
    ]
    return Sheet("Versions", ("package", "version"), tuple(rows))


def _ranks(ranks: Sequence[Facts]) -> Sheet:
    head = ("rank", "host", "processor", "cores", "memory, GiB", "free, GiB", "CUDA")
    rows = (
        (
            str(each.rank),
            each.host,
            each.board.processor,
            str(each.board.cores),
            f"{each.board.memory / 2**30:.1f}",
            f"{each.board.free / 2**30:.1f}",
            "; ".join(each.board.devices) or "none",
        )
        for each in ranks
    )
    return Sheet("Ranks", head, tuple(rows))


def _links(links: Sequence[Link]) -> Sheet:
    rows = (
        (
            f"{each.first} - {each.second}",
            f"{each.latency * 1e6:.0f}",
            f"{each.bandwidth / 1e6:.0f}",
        )
        for each in links
    )
    return Sheet("Links", ("ranks", "latency, us", "MB/s"), tuple(rows))


def plain(sheet: Sheet) -> str:
    """A table in lines, its columns under one another."""
    table = (sheet.head, *sheet.rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
    return "\n".join([sheet.title, *(f"  {line}" for line in lines)])
