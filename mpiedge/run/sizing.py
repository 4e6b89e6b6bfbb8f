"""How many examples move together: the size of micro-batches that is foreseen to be fastest.

Large ones keep a device busy, small ones fill a pipeline sooner, pad less and need less memory.
What a layer costs before its first token decides, so devices have to be measured.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

from mpiedge.comm.values import collectively, decided
from mpiedge.config import read
from mpiedge.errors import BadInput
from mpiedge.run.foresight import foresee
from mpiedge.run.opening import Opened


def sized(opened: Opened) -> Opened:
    """The run with ``training.micro_batch_size`` chosen where it is 0; called by all ranks.

    Tried are powers of two up to a batch, and a batch.  Where nothing fits it is the smallest, so
    that what is said of it is the least that is missing.  Raises BadInput when the devices were not
    measured.
    """
    if opened.settings.training.micro_batch_size:
        return opened
    collectively(opened.transport, lambda: _check_measured(opened))
    tried = [with_size(opened, size) for size in _sizes(opened.settings.training.batch_size)]
    seconds = [_seconds(one) for one in tried]
    return tried[seconds.index(min(seconds))]


def sized_before(opened: Opened, folder: Path) -> Opened:
    """The run with the size that was chosen when it began, whatever ranks it goes on with."""
    if opened.settings.training.micro_batch_size:
        return opened

    def look() -> int:
        path = folder / "run.toml"
        if not path.is_file():
            raise BadInput(f"{path} is not there to go on from; begin the run without --resume")
        return read(path).training.micro_batch_size

    return with_size(opened, decided(opened.transport, look))


def with_size(opened: Opened, size: int) -> Opened:
    """The run with micro-batches of that size."""
    training = replace(opened.settings.training, micro_batch_size=size)
    return replace(opened, settings=replace(opened.settings, training=training))


def _sizes(batch: int) -> Iterator[int]:
    yield from (1 << n for n in range((batch - 1).bit_length()))
    yield batch


def _seconds(opened: Opened) -> float:
    """Of the run; infinite where it cannot be."""
    try:
        found = foresee(opened)
    except BadInput:
        return inf
    return inf if found.trouble else found.forecast.seconds


def _check_measured(opened: Opened) -> None:
    if opened.cluster is None or opened.cluster.model is None:
        said = opened.settings.strategy.cluster or "no strategy.cluster"
        raise BadInput(
            f"training.micro_batch_size = 0 has the planner choose by what was measured, but there "
            f"is {said}; name a file that mpiedge profile wrote as strategy.cluster, or give a size"
        )
