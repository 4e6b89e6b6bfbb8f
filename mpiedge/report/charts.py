"""Curves and bars of runs: losses, metrics, epochs, memory.

Runs are lettered A, B, ...; the page says which is which.
"""

from collections.abc import Sequence
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mpiedge.report.painting import INK, Picture, colour, plain
from mpiedge.report.story import Rank, Story
from mpiedge.report.tables import KINDS, REST
from mpiedge.report.words import printed

_MIB = 2**20
_FAR = 2.5  # times the largest peak, at which a mark would squeeze what it is compared with
_SMOOTH = 40  # windows over which a long loss curve is averaged


def letter(number: int) -> str:
    """What a run is called in figures: A, B, ..., Z, A1, ..."""
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")


def losses(stories: Sequence[Story]) -> Picture | None:
    """The training losses; None where no run has made an update with one that is a number."""
    rows = [[(s.number, s.loss) for s in one.steps if isfinite(s.loss)] for one in stories]
    if not any(rows):
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, row in enumerate(rows):
            if row:
                curve(axes, row, number)
        plain(axes, x="update", y="training loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(stories) > 1:
            axes.legend()

    long = any(len(row) // _SMOOTH > 1 for row in rows)
    caption = "Training loss by update" + ("; thin: each, thick: averaged" if long else "")
    return Picture("loss", caption, 2.8, draw)


def metric(stories: Sequence[Story], name: str, number: int) -> Picture:
    """One metric of the evaluations, by update; ``number`` tells its file from others."""
    rows = [[(s.step, s.metrics[name]) for s in one.scores if name in s.metrics] for one in stories]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for run, row in enumerate(rows):
            points = [point for point in row if isfinite(point[1])]
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, color=colour(run), marker="o", label=letter(run))
        plain(axes, x="update", y=printed(name))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(stories) > 1:
            axes.legend()

    return Picture(f"metric-{number}-{_file(name)}", f"{name} on validation examples", 2.4, draw)


def metrics(stories: Sequence[Story]) -> list[Picture]:
    """A picture for each metric that was finite at least once."""
    named = {
        name: None
        for one in stories
        for scored in one.scores
        for name, value in scored.metrics.items()
        if isfinite(value)
    }
    return [metric(stories, name, number) for number, name in enumerate(named, start=1)]


def epochs(stories: Sequence[Story]) -> Picture | None:
    """Seconds of each epoch, runs beside one another; None where no epoch ended."""
    if not any(one.epochs for one in stories):
        return None
    width = 0.8 / len(stories)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, one in enumerate(stories):
            shift = (number - (len(stories) - 1) / 2) * width
            axes.bar(
                [each.number + shift for each in one.epochs],
                [each.seconds for each in one.epochs],
                width,
                color=colour(number),
                label=letter(number),
            )
        axes.set_xlim(0.4, max(len(one.epochs) for one in stories) + 0.6)
        plain(axes, x="epoch", y="seconds")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(stories) > 1:
            axes.legend()

    return Picture("epochs", "Seconds of training by epoch", 2.2, draw)


def memory(ranks: Sequence[Rank], name: str) -> Picture:
    """The peak of each rank, and the budget where it is known and not far away."""
    known = [
        ((rank.kinds.get("program", 0) + rank.budget) / _MIB, place)
        for place, rank in enumerate(ranks)
        if rank.budget
    ]
    least = min(known)[0] if known else 0.0
    far = least > _FAR * max(rank.resident for rank in ranks) / _MIB

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = range(len(ranks))
        if all(rank.kinds for rank in ranks):
            stacked(axes, ranks)
        else:
            peaks = [rank.resident / _MIB for rank in ranks]
            axes.barh(places, peaks, 0.6, color=colour(0), label="peak")
        if any(rank.device for rank in ranks):
            device = [rank.device / _MIB for rank in ranks]
            axes.barh(places, device, 0.25, color=colour(7), label="peak on the accelerator")
        if known and not far:
            x, y = zip(*known, strict=True)
            axes.scatter(x, y, marker="|", s=220, linewidths=2.5, color=INK, label="budget")
        axes.set_yticks(list(places), [f"rank {rank.number}" for rank in ranks])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        plain(axes, x="MiB")
        figure.legend(loc="outside upper center", ncols=3)

    kinds = " by kind" if all(rank.kinds for rank in ranks) else ""
    budget = f"; budgets begin far to the right, at {least:,.0f} MiB" if far else ", and its budget"
    caption = f"Memory of each rank at its peak{kinds}{budget}"
    return Picture(name, caption, 1.7 + 0.32 * len(ranks), draw)


def stacked(axes: Axes, ranks: Sequence[Rank]) -> None:
    """The peak of each rank in parts, one kind beside the other."""
    kinds = [name for name in KINDS if any(rank.kinds.get(name, 0) for rank in ranks)]
    left = [0.0] * len(ranks)
    for number, name in enumerate([*kinds, ""]):
        part = [(rank.kinds.get(name, 0) if name else rank.rest) / _MIB for rank in ranks]
        label = KINDS[name] if name else REST
        axes.barh(range(len(ranks)), part, 0.6, left, color=colour(number), label=label)
        left = [before + more for before, more in zip(left, part, strict=True)]


def curve(axes: Axes, row: Sequence[tuple[int, float]], number: int) -> None:
    """Each loss thin; where there are many also averages over windows, thick."""
    x, y = [x for x, _ in row], [y for _, y in row]
    window = len(y) // _SMOOTH
    thin = 0.6 if window > 1 else 1.5
    fade = 0.35 if window > 1 else 1.0
    axes.plot(x, y, color=colour(number), lw=thin, alpha=fade, marker="o" if len(y) == 1 else "")
    if window > 1:
        starts = range(0, len(y) - window + 1, window)
        x = [x[start + window // 2] for start in starts]
        y = [sum(y[start : start + window]) / window for start in starts]
    axes.plot(x, y, color=colour(number), lw=1.8, label=letter(number))


def _file(name: str) -> str:
    return "".join(each if each.isalnum() and each.isascii() else "-" for each in name)
