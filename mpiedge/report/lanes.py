"""Timelines and links as pictures: a lane for each rank, and who sent how much to whom."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from mpiedge.report.painting import INK, Picture, plain
from mpiedge.report.story import Bar, Rank

_COLOURS = {
    "forward": "#4c78a8",
    "backward": "#f58518",
    "update": "#54a24b",
    "evaluation": "#b279a2",
    "wait": "#9fa1a5",
}
_OTHER, _LINK = "#e45756", "#4c78a8"
_MIB = 2**20
_FIRST = 3  # batches that are looked at more closely
_MOST = 20_000  # bars; more would make a page that no phone opens


def timeline(bars: Sequence[Bar], name: str, caption: str, unit: str) -> Picture:
    """Who did what when; the first bars only where there are very many."""
    shown = sorted(bars, key=lambda bar: bar.start)[:_MOST]
    ranks = sorted({bar.rank for bar in shown})
    there = {bar.what for bar in shown}
    kinds = [*(kind for kind in _COLOURS if kind in there), *sorted(there - _COLOURS.keys())]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for kind in kinds:
            label: str | None = kind if kind in _COLOURS else "other"
            for place, rank in enumerate(ranks):
                mine = [(b.start, b.length) for b in shown if (b.rank, b.what) == (rank, kind)]
                height = 0.3 if kind == "wait" else 0.8
                axes.broken_barh(
                    mine,
                    (place - height / 2, height),
                    facecolors=_COLOURS.get(kind, _OTHER),
                    label=label,
                )
                label = None
        axes.set_yticks(list(range(len(ranks))), [f"rank {rank}" for rank in ranks])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        plain(axes, x=unit)
        figure.legend(loc="outside upper center", ncols=5)

    return Picture(name, caption, 1.2 + 0.32 * len(ranks), draw)


def beginning(bars: Sequence[Bar]) -> list[Bar]:
    """The bars from the first forward pass on, until the fourth batch begins."""
    forward = [bar for bar in bars if bar.what == "forward"]
    start = min((bar.start for bar in forward), default=0.0)
    end = min((bar.start for bar in forward if bar.batch == _FIRST), default=0.0)
    return [bar for bar in bars if start <= bar.start and bar.start + bar.length <= end]


def links(ranks: Sequence[Rank], name: str) -> Picture:
    """Who sent how many MiB to whom; ranks that are not there are left out."""
    size = len(ranks)
    place = {rank.number: index for index, rank in enumerate(ranks)}
    cells = [
        (row, place[peer], count / _MIB)
        for row, rank in enumerate(ranks)
        for peer, count in rank.links.items()
        if peer in place and count
    ]
    most = max((sent for _, _, sent in cells), default=1.0)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, column, sent in cells:
            shade = (_LINK, 0.15 + 0.6 * sent / most)  # opacity
            axes.broken_barh([(column - 0.48, 0.96)], (row - 0.48, 0.96), facecolors=[shade])
            axes.text(column, row, f"{sent:.3g}", ha="center", va="center", color=INK)
        names = [str(rank.number) for rank in ranks]
        axes.set_xticks(range(size), names)
        axes.set_yticks(range(size), names)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
        axes.grid(visible=False)
        plain(axes, x="to rank", y="from rank")

    return Picture(name, "MiB from each rank to each other", 1.1 + 0.3 * size, draw)
