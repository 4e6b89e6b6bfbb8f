"""The privacy ledger: what left each device, of which kind, and what it tells who reads it."""

from collections.abc import Iterator

from mpiedge.report.story import Rank, Story
from mpiedge.report.tables import Row, Table
from mpiedge.report.words import duration, meaning, size


def ledger(story: Story) -> Table:
    """A row for each rank and kind of message, the largest of a rank first."""
    head = ("left rank", "what", "messages", "bytes", "whoever reads it learns")
    return Table(head, tuple(row for rank in story.ranks for row in _rows(rank)))


def traffic(story: Story) -> Table:
    """Each rank's bytes by destination; in all where destinations were not kept."""
    rows = [(str(r.number), str(to), size(count)) for r in story.ranks for to, count in _to(r)]
    return Table(("from rank", "to rank", "bytes"), tuple(rows))


def rounds(story: Story) -> tuple[str, ...]:
    """What a run in rounds measured of them, as a sentence."""
    told = story.facts.get("rounds") or {}
    measured, predicted = told.get("measured_seconds"), told.get("predicted_seconds")
    if measured is None or predicted is None:
        return ()
    return (
        f"A round took {duration(float(measured))} in the middle of all, and "
        f"{duration(float(predicted))} were predicted.",
    )


def _rows(rank: Rank) -> Iterator[Row]:
    name = f"{rank.number} ({rank.host})" if rank.host else str(rank.number)
    if not rank.sent:
        yield name, "nothing", "0", "0 B", "nothing"
    for each in sorted(rank.sent, key=lambda sent: -sent.bytes):
        what, tells = meaning(each.kind)
        yield name, f"{what} ({each.kind})", f"{each.messages:,}", size(each.bytes), tells


def _to(rank: Rank) -> list[tuple[str | int, int]]:
    if rank.links:
        return sorted(rank.links.items())
    return [("all others", sum(each.bytes for each in rank.sent))]
