"""Figures in pages and in files."""

from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
from matplotlib.figure import Figure

from mpiedge.report.charts import curve, losses
from mpiedge.report.lanes import beginning, links, timeline
from mpiedge.report.painting import INK, LINE, Picture, save, svg
from mpiedge.report.story import Bar, Rank, Step, Story


def draw(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], marker="o", color="#4c78a8")
    axes.set_xlabel("a & b <c> $d_{")


PICTURE = Picture("one", 'what "it" shows', 2.0, draw)


def test_a_figure_takes_the_colours_of_its_page_and_names_nothing_twice() -> None:
    text = svg(PICTURE)
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("aria-label")) == ("svg", 'what "it" shows')
    assert INK not in text
    assert LINE not in text
    assert "currentColor" in text
    assert "var(--line)" in text
    assert "http" not in text
    ids = [each.get("id", "") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert all(each.startswith("one-") for each in ids)
    for each in root.iter("use"):
        assert each.get("href", "").removeprefix("#") in ids
    assert "a & b <c> $d_{" in [each.text for each in root.iter("text")]


def test_the_same_figure_is_drawn_the_same() -> None:
    assert svg(PICTURE) == svg(PICTURE)


def test_files_are_dark_on_white(tmp_path: Path) -> None:
    png, vector = save(PICTURE, tmp_path)
    pixels = matplotlib.image.imread(png)
    assert pixels[0, 0, :3].tolist() == [1.0, 1.0, 1.0]
    assert pixels[..., :3].min() < 0.2
    assert ElementTree.parse(vector).getroot().tag.endswith("svg")


def test_the_beginning_ends_where_the_fourth_batch_begins() -> None:
    bars = [Bar(0, "wait", 0.0, 1.0), *(Bar(0, "forward", n + 1.0, 0.5, n) for n in range(5))]
    assert [bar.batch for bar in beginning(bars)] == [0, 1, 2]
    assert beginning(bars[:2]) == []


def test_a_lane_for_each_rank() -> None:
    text = svg(timeline([Bar(0, "forward", 0, 1), Bar(7, "odd", 0, 1)], "a", "a", "seconds"))
    words = [each.text for each in ElementTree.fromstring(text).iter("text")]
    assert {"rank 0", "rank 7", "forward", "other", "seconds"} <= set(words)


def test_links_of_ranks_that_are_not_there_are_left_out() -> None:
    rank = Rank(2, "", (), 0.0, 0, (), links={3: 2**20, 9: 2**24})
    text = svg(links([rank, Rank(3, "", (), 0.0, 0, ())], "a"))
    words = [each.text for each in ElementTree.fromstring(text).iter("text")]
    assert sorted(filter(None, words)) == ["1", "2", "2", "3", "3", "from rank", "to rank"]


def test_a_long_loss_curve_is_averaged_too() -> None:
    steps = tuple(Step(n, float(n % 7), 0.1, float(n)) for n in range(1, 401))
    short = losses([Story("a", "", {}, steps=steps[:20])])
    long = losses([Story("a", "", {}, steps=steps)])
    assert short is not None
    assert long is not None
    assert (short.caption, long.caption) == (
        "Training loss by update",
        "Training loss by update; thin: each, thick: averaged",
    )
    axes = Figure().subplots()
    curve(axes, [(step.number, step.loss) for step in steps], 0)
    each, averaged = axes.get_lines()
    assert (len(each.get_xdata()), len(averaged.get_xdata())) == (400, 40)  # type: ignore[arg-type]
    assert losses([Story("a", "", {}, steps=(Step(1, float("nan"), 0.1, 1.0),))]) is None
