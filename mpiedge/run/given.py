"""What a phase's updates are made from, as training hands it to the engine."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mpiedge.pipeline.hand_over import Named
from mpiedge.pipeline.portion import Backbones, MicroBatch, Source


def _at_once(updates: range) -> None:
    """Nothing has to be done before updates are run."""


def _settled() -> None:
    """Nothing is trained apart."""


def _no_facts() -> dict[str, Any]:
    """There is nothing to tell."""
    return {}


def _none_apart() -> Named:
    """Nothing is trained apart."""
    return {}


def nothing(number: int) -> MicroBatch:
    """For ranks and phases where no route begins."""
    raise AssertionError(f"micro-batch {number} does not enter here")


class Given(NamedTuple):
    """Where the micro-batches of a phase come from."""

    source: Source
    backbones: Backbones | None = None
    answers: Source | None = None
    begin: Callable[[range], None] = _at_once
    """Called on every rank before updates that are run together."""
    settle: Callable[[], None] = _settled
    """Called on every rank before an evaluation: what is trained apart is brought together."""
    rounds: Callable[[range, Callable[[int, float], None]], None] | None = None
    """Makes updates in rounds instead of by a schedule; tells rank 0 the loss of each."""
    facts: Callable[[], dict[str, Any]] = _no_facts
    """What the result is to say of them."""
    noted: Callable[[], dict[str, Any]] = _no_facts
    """What a checkpoint has to say of them, as plain values; of rank 0 alone it counts."""
    apart: Callable[[], Named] = _none_apart
    """What a checkpoint has to keep of the clients on this rank, who train weights apart."""
