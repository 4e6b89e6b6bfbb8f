"""The section ``[strategy]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class StrategySettings:
    """Which system runs, and how work is laid over the ranks."""

    name: str = setting(
        "pipeline",
        "standalone: one rank; pipeline: the layers cut over all ranks, 1F1B; data-parallel: the "
        "whole model on every rank",
    )
    layers: list[int] = setting(
        [],
        "pipeline: how many layers each rank holds, embedding and head counted; left out: planned",
    )
    shares: list[float] = setting(
        [], "data-parallel: relative share of a batch for each rank; left out: equal"
    )
