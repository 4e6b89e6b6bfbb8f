"""Options that stand for a setting of the run file, as the overrides that ``--set`` gives."""

import json
from collections.abc import Sequence


def with_cluster(overrides: Sequence[str], cluster: str) -> Sequence[str]:
    """The overrides with a cluster profile; those alone where it is empty."""
    # A path is written as TOML writes strings, which for all it may hold is as JSON does.
    written = json.dumps(cluster, ensure_ascii=False)
    return (*overrides, f"strategy.cluster={written}") if cluster else overrides


def with_strategy(overrides: Sequence[str], name: str) -> Sequence[str]:
    """The overrides with another strategy; those alone where it is empty."""
    return (*overrides, f"strategy.name={name}") if name else overrides
