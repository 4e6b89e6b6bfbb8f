"""A figure as matplotlib draws it: into a page, where it takes the page's colours, or into a file.

In a page, ink is ``currentColor`` and lines are ``var(--line)``, so that one figure reads on light
and on dark; its identifiers carry its name, since a page holds several.  Nothing that is drawn is
of the user's making: text in a figure is ours, in ASCII, and names stand in the page around it.
"""

import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, LINE = "#1b1c1d", "#cfd0d1"  # colours that nothing else has, to be found again
SERIES = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#b279a2", "#3fa7a0", "#9d755d", "#d67195")
WIDTH = 5.2  # inches: on a phone the text is then as large as the page's


class Picture(NamedTuple):
    """A figure that can be drawn: its name as a file, what it shows, and how."""

    name: str
    caption: str
    height: float  # inches
    draw: Callable[[Figure], None]


def colour(number: int) -> str:
    """The colour of a row of data."""
    return SERIES[number % len(SERIES)]


def plain(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> None:
    """Name the axes."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left")


def svg(picture: Picture) -> str:
    """The figure as an element of a page; well-formed, without anything from elsewhere."""
    text = io.StringIO()
    with _style():
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        _drawn(picture).savefig(text, format="svg", transparent=True, metadata=metadata)
    root = ElementTree.fromstring(text.getvalue())
    for element in list(root.iter()):
        _adapt(element, picture.name)
    for part in [child for child in root if child.tag == "metadata"]:
        root.remove(part)
    del root.attrib["width"], root.attrib["height"]
    root.set("role", "img")
    root.set("aria-label", picture.caption)
    return ElementTree.tostring(root, encoding="unicode")


def save(picture: Picture, folder: Path) -> tuple[Path, Path]:
    """Write the figure as PNG and as SVG, dark on white; raises OSError."""
    places = folder / f"{picture.name}.png", folder / f"{picture.name}.svg"
    with _style():
        for place in places:
            _drawn(picture).savefig(place, dpi=150, facecolor="white")
    return places


def _style() -> AbstractContextManager[None]:
    """Our look, while it is entered."""
    return mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "mpiedge",
            "text.parse_math": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.edgecolor": LINE,
            "grid.color": LINE,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "font.size": 9,
            "legend.frameon": False,
            "legend.fontsize": 8,
        }
    )


def _drawn(picture: Picture) -> Figure:
    figure = Figure(figsize=(WIDTH, picture.height), layout="constrained")
    FigureCanvasAgg(figure)
    picture.draw(figure)
    return figure


def _adapt(element: ElementTree.Element, name: str) -> None:
    """Make an element of an SVG file one of a page, which knows its name spaces itself."""
    element.tag = element.tag.rpartition("}")[2]
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        new = value.replace(INK, "currentColor").replace(LINE, "var(--line)")
        new = re.sub(r"url\(#", f"url(#{name}-", new)
        local = key.rpartition("}")[2]
        if local == "id":
            new = f"{name}-{new}"
        elif local == "href":
            new = new.replace("#", f"#{name}-", 1)
        element.set(local, new)
    if element.tag == "style" and element.text:
        element.text = element.text.replace("*{", f"#{name}-figure_1 *{{")
