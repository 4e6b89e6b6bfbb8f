"""Every strategy foreseen for one run, ranked: which fit, how long they take, what the others lack.

A strategy stands in the list if the run file could name it as it is: with data that stays with its
clients, or adapters of another kind, it is left out with the reason.
"""

from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from math import inf
from typing import Any, NamedTuple

from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.run.foresight import Foresight, foresee, values
from mpiedge.run.opener import Opener
from mpiedge.run.remedies import nearest, short_of_memory
from mpiedge.strategy.registry import STRATEGIES
from mpiedge.strategy.settings import StrategySettings

_LAYOUT = ("layers", "groups", "shares", "order", "cuts")


class Candidate(NamedTuple):
    """A strategy for the run."""

    strategy: str
    foresight: Foresight | None  # None: there is no plan
    trouble: str = ""  # why it cannot be; empty: it fits
    remedy: str = ""  # the nearest setting with which it would fit the memory

    @property
    def seconds(self) -> float:
        """Of the run; infinite where it cannot be."""
        return inf if self.trouble or self.foresight is None else self.foresight.forecast.seconds


def candidates(opener: Opener, settings: RunSettings) -> tuple[Candidate, ...]:
    """All strategies, the fastest first and those that cannot be last; called by all ranks."""
    found = [_candidate(opener, with_strategy(settings, name)) for name in STRATEGIES]
    return tuple(sorted(found, key=lambda candidate: candidate.seconds))


def with_strategy(settings: RunSettings, name: str) -> RunSettings:
    """The run with another strategy, its layout left to be planned: what was given is not its."""
    if name == settings.strategy.name:
        return settings
    defaults = {
        one.name: one.default_factory()
        for one in fields(StrategySettings)
        if one.name in _LAYOUT and one.default_factory is not MISSING
    }
    return replace(settings, strategy=replace(settings.strategy, name=name, **defaults))


def _candidate(opener: Opener, settings: RunSettings) -> Candidate:
    name, foresight = settings.strategy.name, None
    try:
        # Of several devices that could be used, one is enough for this one.
        ranks = 1 if name == "standalone" and opener.alone else 0
        foresight = foresee(opener(settings, ranks))
        trouble = foresight.trouble
    except BadInput as bad:
        trouble = str(bad)
    if not trouble:
        return Candidate(name, foresight)
    short = short_of_memory(opener, settings)
    return Candidate(name, foresight, trouble, nearest(opener, settings) if short else "")


def as_values(found: Sequence[Candidate]) -> dict[str, Any]:
    """The list and the plan of the best, as plain values."""
    best = found[0]
    plan = values(best.foresight) if best.foresight is not None and not best.trouble else None
    return {"strategies": [_values(one) for one in found], "best": plan}


def _values(one: Candidate) -> dict[str, Any]:
    fits = not one.trouble
    known = one.foresight if fits else None
    return {
        "strategy": one.strategy,
        "fits": fits,
        "seconds": known.forecast.seconds if known else None,
        "first_epoch_seconds": known.first.seconds if known else None,
        "last_epoch_seconds": known.last.seconds if known else None,
        "trouble": one.trouble,
        "nearest": one.remedy,
    }
