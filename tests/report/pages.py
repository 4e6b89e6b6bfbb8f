"""A page taken apart: whether its elements are balanced, what it fetches, what its figures hold."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "link", "br", "hr", "img", "input"}
_DRAWN = {"path", "use", "rect", "polygon", "polyline", "line", "circle"}
_FETCHING = {"src", "href", "data", "poster", "srcset", "action"}


@dataclass
class Figure:
    """What one figure holds."""

    drawn: int = 0  # shapes
    words: list[str] = field(default_factory=list)
    caption: str = ""


class Page(HTMLParser):
    """A page and what is wrong with it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.wrong: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.figures: list[Figure] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += [f"{tag} is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._begin(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._begin(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"{tag} is closed where it was not open")

    def handle_data(self, data: str) -> None:
        if not data.strip() or "style" in self._open:
            return
        self.text.append(data.strip())
        if "figcaption" in self._open:
            self.figures[-1].caption += data
        elif "figure" in self._open:
            self.figures[-1].words.append(data.strip())

    def _begin(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in _FETCHING]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "figure":
            self.figures.append(Figure())
        elif "figure" in self._open and tag in _DRAWN:
            self.figures[-1].drawn += 1


def page_of(path: Path) -> Page:
    """The page in a file."""
    return Page(path.read_text(encoding="utf-8"))


def check(page: Page) -> None:
    """Well-formed, self-contained, and no figure without anything in it."""
    assert page.wrong == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") or link == "data:," for link in page.links), page.links
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "script" not in page.tags
    assert page.figures
    for figure in page.figures:
        assert figure.drawn >= 5, figure
        assert len(figure.words) >= 3, figure
        assert figure.caption
