"""The tables of the page: results, epochs, memory, plans, settings."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mpiedge.report.story import Story
from mpiedge.report.words import duration, size, spans
from mpiedge.strategy.strategy import Phase, layers_of

Row = tuple[str, ...]

KINDS = {
    "program": "Python and libraries",
    "frozen": "frozen weights",
    "tuned": "tuned weights",
    "gradients": "gradients",
    "optimizer": "optimizer",
}
REST = "activations and the rest"


class Table(NamedTuple):
    """A table; its first column names the row."""

    head: Row
    rows: tuple[Row, ...]


def summary(stories: Sequence[Story], names: Sequence[str]) -> tuple[Table, ...]:
    """What was run and what came out: a column a run."""
    head = ("", *(name or one.name for one, name in zip(stories, names, strict=True)))
    rows: list[Row] = []
    for told in (_asked, _scores, _used):
        facts = [told(one) for one in stories]
        keys = dict.fromkeys(key for each in facts for key in each)
        rows += [(key, *(each.get(key, "–") for each in facts)) for key in keys]
    return (Table(head, tuple(rows)),)


def epochs(stories: Sequence[Story], letters: Sequence[str]) -> Table:
    """Seconds and examples a second of each epoch, a pair of columns a run."""
    head = [f"{which} {what}".strip() for which in letters for what in ("seconds", "examples/s")]
    last = max(len(one.epochs) for one in stories)
    rows = []
    for number in range(last):
        cells: list[str] = []
        for one in stories:
            cells += _epoch(one, number)
        rows.append((str(number + 1), *cells))
    return Table(("epoch", *head), tuple(rows))


def memory(story: Story) -> Table:
    """Each rank's peak, budget and cache."""
    kinds = [name for name in KINDS if any(name in rank.kinds for rank in story.ranks)]
    named = (KINDS[name] for name in kinds)
    rest = (REST,) if kinds else ()
    head = ("rank", "host", "peak", *named, *rest, "free for it", "used of it", "cache on disk")
    rows = tuple(
        (
            str(rank.number),
            rank.host,
            size(rank.resident),
            *(size(rank.kinds[name]) if name in rank.kinds else "–" for name in kinds),
            *([size(rank.rest) if rank.kinds else "–"] if kinds else []),
            size(rank.budget) if rank.budget else "not known",
            f"{rank.resident / rank.budget:.0%}" if rank.budget else "–",
            size(rank.stored) if rank.stored else "–",
        )
        for rank in story.ranks
    )
    return Table(head, rows)


def plan(story: Story) -> Table:
    """Which rank runs and tunes which layers in which phase; phases without batches are left out.

    Phases that look alike stand in one row.
    """
    rows: dict[Row, list[int]] = {}
    for number, phase in enumerate(story.phases, start=1):
        for row in _held(phase) if phase.batches else ():
            rows.setdefault(row, []).append(number)
    head = ("phases", "rank", "runs layers", "tunes layers", "portions of a batch", "activations")
    return Table(head, tuple((spans(numbers), *row) for row, numbers in rows.items()))


def settings(story: Story) -> Table:
    """Every setting that the run file as kept holds."""
    rows = tuple(
        (f"{section}.{key}", str(value))
        for section, values in story.settings.items()
        for key, value in values.items()
    )
    return Table(("setting", "value"), rows)


def _asked(story: Story) -> dict[str, str]:
    return {
        "model": str(story.setting("model", "name")),
        "task": f"{story.setting('task', 'name')}, {story.setting('task', 'data')}".rstrip(", "),
        "strategy": str(story.setting("strategy", "name")),
        "tuned": str(story.setting("adapter", "kind")),
        "state": story.state or "not known",
        "updates": f"{story.steps[-1].number if story.steps else 0} of {story.planned or '?'}",
    }


def _scores(story: Story) -> dict[str, str]:
    return {f"validation {name}": f"{value:.4f}" for name, value in story.latest.items()}


def _used(story: Story) -> dict[str, str]:
    used = {"training took": duration(story.seconds)}
    if story.finished:
        used["ranks"] = str(len(story.ranks))
        used["tuned weights"] = f"{int(story.facts.get('tuned_weights', 0)):,}"
        used["sent by all ranks"] = size(story.sent)
        used["most memory of a rank"] = size(max(rank.resident for rank in story.ranks))
        if story.joules:
            sensed = sorted({rank.sensor for rank in story.ranks if rank.joules})
            used["energy"] = f"{story.joules:.3g} J ({', '.join(sensed)})"
        used["mpiedge"] = str(story.facts.get("mpiedge", "not known"))
    return used


def _epoch(story: Story, number: int) -> tuple[str, str]:
    if number >= len(story.epochs):
        return "–", "–"
    epoch = story.epochs[number]
    rate = f"{epoch.examples / epoch.seconds:.3g}" if epoch.seconds > 0 else "–"
    return f"{epoch.seconds:.3g}", rate


def _held(phase: Phase) -> Iterator[Row]:
    tuned = phase.plan.trainers
    portions = [{stage.rank for stage in phase.plan.route(n)} for n in phase.plan.micro_batches]
    every = {stage.rank for route in phase.plan.routes for stage in route}
    for rank in sorted(every | {stage.rank for stage in phase.feeders}):
        mine = sorted(layer for layer, ranks in tuned.items() if rank in ranks)
        count = sum(rank in ranks for ranks in portions)
        part = f"{count} of {len(portions)}" if phase.plan.cycle == 1 else "changing"
        runs = spans(layers_of(phase, rank))
        yield str(rank), runs, spans(mine), part, phase.source.value
