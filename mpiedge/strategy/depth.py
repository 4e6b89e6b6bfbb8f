"""Below which block a split model is frozen: what devices may run, and nothing is trained.

    lowest   a b c | D E F     adapters from D on: devices run at most a b c

One depth for all devices, whatever they can carry: with adapters in a block that only some of them
run, the model would not be one.  SplitFrozen does not say how it aligns unequal cuts; ours is the
server's bare blocks up to here.
"""

from mpiedge.errors import BadInput
from mpiedge.strategy.settings import StrategySettings

_PART = 4  # blocks to one that is frozen, where nothing says how many: 3 of GPT-2's 12


def lowest_of(settings: StrategySettings, given: int, last: int) -> int:
    """The lowest block with an adapter, in a model whose blocks 1 to ``last`` a device may run.

    ``given`` by the run file; where it is 0 it follows from the deepest cut.  Raises BadInput where
    they do not fit one another or the model.
    """
    deepest = max(settings.cuts, default=0)
    wrong = [cut for cut in settings.cuts if not 1 <= cut <= last]
    if wrong:
        raise BadInput(
            f"strategy.cuts {settings.cuts} has {wrong[0]}; a cut is at least 1 and at most "
            f"{last}, so that a block is left above it"
        )
    if given and deepest >= given:
        raise BadInput(
            f"strategy.cuts {settings.cuts} has {deepest}, but adapters begin at block "
            f"{given} (adapter.lowest) and devices train nothing; lower the cut or raise "
            f"adapter.lowest to {deepest + 1}"
        )
    if given == 1 or given > last + 1 or last < 1:
        raise BadInput(
            f"adapter.lowest {given} leaves devices no frozen block to run, or the server none to "
            f"train; set it from 2 to {last + 1}, or leave it out"
            if last >= 1
            else "a model of one block cannot be split; use strategy data-parallel"
        )
    return given or (deepest or max(1, (last + 1) // _PART)) + 1
