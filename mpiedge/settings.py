"""How a setting is declared: a dataclass field that carries its own documentation and bounds.

Every package that can be configured has a ``settings.py`` with one frozen dataclass a section of
the run file.  The declarations are the only place where a setting is documented: the reader of
run files, ``mpiedge settings`` and ``docs/settings.md`` are made from them.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Declared:
    """What is known of a setting beside its type and default."""

    doc: str
    choices: tuple[str, ...] = ()
    least: float | None = None  # the smallest value allowed
    above: float | None = None  # every value has to be larger
    most: float | None = None  # the largest value allowed


def setting(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
) -> Any:
    """A field with a default, a sentence of documentation, and what values are allowed."""
    metadata = {"declared": Declared(doc, choices, least, above, most)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
