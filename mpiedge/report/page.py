"""The page: sections put into the template, figures drawn into them, and all of it into one file.

Whatever a run calls itself is escaped by the template; figures hold no text of the user's.
"""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mpiedge.errors import BadInput
from mpiedge.report.painting import Picture, save, svg
from mpiedge.report.sections import Section, sections, titles
from mpiedge.report.story import Story
from mpiedge.report.words import duration


def page(stories: Sequence[Story], parts: Sequence[Section]) -> str:
    """The HTML of some runs: nothing in it is fetched from elsewhere, and no script runs."""
    loader = PackageLoader("mpiedge.report", "")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made.get_template("page.html").render(
        title=", ".join(one.name for one in stories),
        opening=opening(stories),
        sections=parts,
        drawn=_drawn,
    )


def opening(stories: Sequence[Story]) -> list[str]:
    """What was run and what came out, in a sentence for each run."""
    return [_sentence(one, name) for one, name in zip(stories, titles(stories), strict=True)]


def report(stories: Sequence[Story], output: Path, figures: Path | None) -> None:
    """Write the page, and the figures too where a folder for them is named.

    Raises BadInput where that cannot be written.
    """
    parts = sections(stories)
    text = page(stories, parts)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
        if figures is not None:
            figures.mkdir(parents=True, exist_ok=True)
            for picture in pictures(parts):
                save(picture, figures)
    except OSError as error:
        raise BadInput(
            f"the report cannot be written: {error}; choose another place with --output"
        ) from None


def pictures(parts: Sequence[Section]) -> list[Picture]:
    """Every picture of the page."""
    return [picture for each in parts for part in each.parts for picture in part.pictures]


def _drawn(picture: Picture) -> Markup:
    return Markup(svg(picture))


def _sentence(story: Story, name: str) -> str:
    who = f"{name} – " if name else ""
    what = f"{story.setting('model', 'name')} by {story.setting('strategy', 'name')}"
    scores = ", ".join(f"{name} {value:.4f}" for name, value in story.latest.items())
    state = "finished" if story.finished else "not finished"
    count = len(story.ranks)
    ranks = f" on {count} rank{'s' if count > 1 else ''}" if story.finished else ""
    came = f": {scores}" if scores else ", not evaluated"
    return f"{who}{what}{ranks}, {state}, {duration(story.seconds)} of training{came}."
