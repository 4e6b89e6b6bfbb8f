"""What stands on the page, in order: tables, pictures and sentences, as values.

The template turns them into HTML; nothing in here knows of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mpiedge.report import charts, lanes
from mpiedge.report.advice import Advice, advice
from mpiedge.report.foreseen import foreseen
from mpiedge.report.ledger import ledger, rounds, traffic
from mpiedge.report.painting import Picture
from mpiedge.report.story import Story
from mpiedge.report.tables import Table, epochs, memory, plan, settings, summary

_PHASES = 3  # of which the timeline is drawn; a ring may have dozens, which look alike


@dataclass(frozen=True)
class Part:
    """What is said of one run under a heading, or of all."""

    run: str = ""  # empty: of all, or of the only one
    text: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.text or self.advice or self.tables or self.pictures)


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    name: str  # its anchor
    title: str
    lead: str = ""
    parts: tuple[Part, ...] = field(default_factory=tuple)
    folded: bool = False


def sections(stories: Sequence[Story]) -> list[Section]:
    """The page; a section that would be empty is left out."""
    names = titles(stories)
    rows = list(zip(stories, names, range(len(stories)), strict=True))
    single = (
        ("look", "What to look at", "", [Part(n, advice=advice(s)) for s, n, _ in rows]),
        ("curves", "Loss and metrics", "", [_curves(stories)]),
        ("time", "Time", _TIME, [_time(stories), *(_cache(s, n) for s, n, _ in rows)]),
        ("memory", "Memory", _MEMORY, [_memory(*row) for row in rows]),
        ("ledger", "What left which device", _LEDGER, [_ledger(*row) for row in rows]),
        ("plan", "The plan in force", _PLAN, [_plan(*row) for row in rows]),
        ("timeline", "Who computed when", _TIMELINE, [_timeline(*row) for row in rows]),
    )
    found = [Section("result", "Result", "", (Part(tables=summary(stories, names)),))]
    for name, title, lead, parts in single:
        kept = tuple(part for part in parts if not part.empty)
        if kept:
            found.append(Section(name, title, lead, kept))
    listed = tuple(Part(n, tables=(settings(s),)) for s, n, _ in rows)
    return [*found, Section("settings", "Settings in force", "", listed, folded=True)]


def titles(stories: Sequence[Story]) -> list[str]:
    """What each run is called: nothing where it is alone, else its letter and its name."""
    if len(stories) == 1:
        return [""]
    return [f"{charts.letter(place)}: {one.name}" for place, one in enumerate(stories)]


_TIME = "Seconds of training; evaluations, checkpoints and what comes before are not counted."
_MEMORY = (
    "The most that each process ever held. Weights, gradients and what the optimizer keeps are "
    "counted as they are; what else there was at the peak is the rest. The mark is the budget: "
    "what was free when the run began, beside what Python and its libraries had taken by then."
)
_LEDGER = (
    "Every message between ranks is counted where it leaves, since the run was last started; a "
    "rank sent nothing of a kind that is not listed for it. Sums count as a ring of ranks moves "
    "them, since MPI does not say what it did. Nothing is encrypted on its way: use a network that "
    "you trust."
)
_PLAN = "Layers are numbered from 0, the embedding, to the head; both ends are meant."
_TIMELINE = (
    "Foreseen: the order that the plan implies for its first batches, with one unit a layer "
    "forward and two backward, and messages free. Measured: what each rank did, in seconds."
)


def _curves(stories: Sequence[Story]) -> Part:
    loss = charts.losses(stories)
    return Part(pictures=(*((loss,) if loss else ()), *charts.metrics(stories)))


def _time(stories: Sequence[Story]) -> Part:
    picture = charts.epochs(stories)
    letters = [charts.letter(n) for n in range(len(stories))] if len(stories) > 1 else [""]
    table = (epochs(stories, letters),) if picture else ()
    return Part(tables=table, pictures=(picture,) if picture else ())


def _cache(story: Story, name: str) -> Part:
    """What the cache has gained."""
    if "caching" not in story.facts or len(story.epochs) < 2:
        return Part()
    first, *later = (epoch.seconds for epoch in story.epochs)
    mean = sum(later) / len(later)
    times = f", {first / mean:.1f} times as fast" if mean > 0 else ""
    said = (
        f"The first epoch recorded what the model makes of each example, in {first:.3g} s; those "
        f"after it read that back, in {mean:.3g} s on average{times}."
    )
    return Part(name, (said,))


def _memory(story: Story, name: str, place: int) -> Part:
    if not story.ranks:
        return Part()
    picture = charts.memory(story.ranks, f"memory-{charts.letter(place)}")
    return Part(name, tables=(memory(story),), pictures=(picture,))


def _ledger(story: Story, name: str, place: int) -> Part:
    if not story.ranks:
        return Part()
    if not story.sent:
        return Part(name, ("Nothing left any device: there was one rank, or none had to speak.",))
    known = any(rank.links for rank in story.ranks)
    picture = lanes.links(story.ranks, f"links-{charts.letter(place)}")
    tables = (ledger(story), traffic(story))
    return Part(name, rounds(story), tables=tables, pictures=(picture,) if known else ())


def _plan(story: Story, name: str, place: int) -> Part:
    return Part(name, tables=(plan(story),) if story.phases else ())


def _timeline(story: Story, name: str, place: int) -> Part:
    return Part(name, pictures=tuple(_lanes(story, charts.letter(place))))


def _lanes(story: Story, letter: str) -> Iterator[Picture]:
    drawn: list[object] = []
    for number, phase in enumerate(story.phases, start=1):
        bars = foreseen(phase)
        if bars and bars not in drawn and len(drawn) < _PHASES:
            drawn.append(bars)
            caption = f"Foreseen: phase {number} of {len(story.phases)}, its first batches"
            yield lanes.timeline(bars, f"foreseen-{letter}-{number}", caption, "units")
    if story.bars:
        first, caption = lanes.beginning(story.bars), "Measured: the first three batches"
        if 0 < len(first) < len(story.bars):
            yield lanes.timeline(first, f"measured-first-{letter}", caption, "seconds")
        yield lanes.timeline(story.bars, f"measured-{letter}", "Measured: the run", "seconds")
