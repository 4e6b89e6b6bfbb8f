"""The strategies by the name a run file calls them."""

from difflib import get_close_matches

from mpiedge.errors import BadInput
from mpiedge.strategy.baselines import data_parallel, pipeline, standalone
from mpiedge.strategy.deft import deft, fedlora
from mpiedge.strategy.pac import pac
from mpiedge.strategy.ring import ring
from mpiedge.strategy.split import split
from mpiedge.strategy.splitlora import splitlora
from mpiedge.strategy.strategy import Strategy

RECORDING = frozenset({"pac"})
"""Those that keep what the frozen model makes, so adapter.kind has to be parallel."""

AT_CLIENTS = frozenset({"ring", "split", "splitlora", "deft", "fedlora"})
"""Those whose examples stay with clients, each with examples of its own."""

POOLING = frozenset({"split"})
"""Of those at clients the ones that train on all clients' examples together."""

IN_ROUNDS = frozenset({"deft", "fedlora"})
"""Of those at clients the ones whose clients work side by side, round after round."""

STRATEGIES: dict[str, Strategy] = {
    "standalone": standalone,
    "pipeline": pipeline,
    "data-parallel": data_parallel,
    "pac": pac,
    "ring": ring,
    "split": split,
    "splitlora": splitlora,
    "deft": deft,
    "fedlora": fedlora,
}


def strategy(name: str) -> Strategy:
    """The strategy of that name; raises BadInput with the near names for another."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    near = get_close_matches(name, STRATEGIES, n=1)
    meant = f", did you mean {near[0]}?" if near else ""
    raise BadInput(
        f"strategy.name {name!r} is not known{meant} (this version has {', '.join(STRATEGIES)})"
    )
