"""The nearest setting with which a run fits the memory of its ranks.

Tried in an order of our own, from what changes least: smaller micro-batches (the same updates),
fewer bits for what is frozen, more ranks.  The first that fits is named.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.run.foresight import foresee
from mpiedge.run.opener import Opener

_UNLIMITED = 2**62  # bytes
_MORE = (1, 2, 4, 8)  # ranks beside those asked for


class Change(NamedTuple):
    """Settings that differ, and how that is said."""

    settings: RunSettings
    words: str
    ranks: int = 0  # 0: as many as asked for


def short_of_memory(opener: Opener, settings: RunSettings) -> bool:
    """Whether a run that cannot be would be possible with all the memory one could wish for."""
    try:
        opened = opener(settings)
        hosts = tuple(host._replace(free_memory=_UNLIMITED) for host in opened.hosts)
        return not foresee(replace(opened, hosts=hosts)).trouble
    except BadInput:
        return False


def nearest(opener: Opener, settings: RunSettings) -> str:
    """The nearest change with which the run fits, as ``section.key=value``; empty: none found."""
    every = [*_smaller(settings), *_fewer_bits(settings)]
    if opener.alone:
        every += [Change(settings, f"--ranks {n}", n) for n in (opener.ranks + k for k in _MORE)]
    return next((change.words for change in every if _fits(opener, change)), "")


def _fits(opener: Opener, change: Change) -> bool:
    try:
        return not foresee(opener(change.settings, change.ranks)).trouble
    except BadInput:
        return False


def _smaller(settings: RunSettings) -> Iterator[Change]:
    """Micro-batches of half as many rows, of a quarter, and so on."""
    rows = settings.training.micro_batch_size // 2
    while rows:
        training = replace(settings.training, micro_batch_size=rows)
        yield Change(replace(settings, training=training), f"training.micro_batch_size={rows}")
        rows //= 2


def _fewer_bits(settings: RunSettings) -> Iterator[Change]:
    """Frozen weights in fewer bits, first with the micro-batches that there are, then with rows."""
    lone = replace(settings.training, micro_batch_size=1)
    changes = [("dtype", "bfloat16")] if settings.model.dtype == "float32" else []
    if settings.model.quantize == "none" and settings.adapter.kind != "full":
        changes += [("quantize", "int8"), ("quantize", "int4")]
    for key, value in changes:
        model = replace(settings.model, **{key: value})
        words = f"model.{key}={value}"
        yield Change(replace(settings, model=model), words)
        together = f"{words} and training.micro_batch_size=1"
        yield Change(replace(settings, model=model, training=lone), together)
