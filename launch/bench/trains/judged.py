"""What has a limit, as a line that people read and that ``reduced.py`` reads back."""

import re
from typing import NamedTuple

_LINE = re.compile(
    r"^(?P<what>.+?) {2,}(?P<value>[\d.]+)  (?P<relation>>=|<=) (?P<limit>[\d.]+)  (?:pass|FAIL)"
    r"(?:  \((?P<ours>[^ ]+) against (?P<peer>[^ ]+) (?P<unit>.+)\))?$",
    re.M,
)


class Judged(NamedTuple):
    """A ratio and its limit, and what it was made of where that is one number a side."""

    what: str
    value: float
    relation: str  # >= or <=; nothing for what only explains another
    limit: float
    ours: float | None = None
    peer: float | None = None
    unit: str = "s"

    @property
    def kept(self):
        """Whether it is as asked."""
        return self.value >= self.limit if self.relation == ">=" else self.value <= self.limit

    def __str__(self):
        """The line."""
        text = f"{self.what:60}  {self.value:.3f}"
        if not self.relation:
            return text
        text += f"  {self.relation} {self.limit:g}  {'pass' if self.kept else 'FAIL'}"
        if self.ours is None:
            return text
        return f"{text}  ({self.ours:.4g} against {self.peer:.4g} {self.unit})"


def lines(said):
    """All there are in what a benchmark printed."""
    for found in _LINE.finditer(said):
        words = found.groupdict()
        sides = (float(words[side]) if words[side] else None for side in ("ours", "peer"))
        yield Judged(
            words["what"],
            float(words["value"]),
            words["relation"],
            float(words["limit"]),
            *sides,
            words["unit"] or "",
        )
