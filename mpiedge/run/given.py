"""What a phase's updates are made from, as training hands it to the engine."""

from collections.abc import Callable
from typing import NamedTuple

from mpiedge.pipeline.engine import Backbones, Source


def _at_once(updates: range) -> None:
    """Nothing has to be done before updates are run."""


def _settled() -> None:
    """Nothing is trained apart."""


class Given(NamedTuple):
    """Where the micro-batches of a phase come from."""

    source: Source
    backbones: Backbones | None = None
    answers: Source | None = None
    begin: Callable[[range], None] = _at_once
    """Called on every rank before updates that are run together."""
    settle: Callable[[], None] = _settled
    """Called on every rank before an evaluation: what is trained apart is brought together."""
