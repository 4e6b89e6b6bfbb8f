"""A finished run opened again, on however many ranks there are now: to score it, or to use it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings, read
from mpiedge.errors import BadInput
from mpiedge.model.load import load
from mpiedge.model.restore import read_adapter
from mpiedge.model.shard import Shard
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.opening import Opened, open_run
from mpiedge.run.planning import Extent, plan_run
from mpiedge.strategy.settings import StrategySettings


@dataclass(frozen=True)
class Reopened:
    """A trained model laid over the ranks, with nothing to train."""

    opened: Opened
    plan: PartitionPlan
    shard: Shard


def settings_of(folder: Path, overrides: Iterable[str] = ()) -> RunSettings:
    """The settings that a run left behind; raises BadInput where no run was finished."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise BadInput(f"{folder} {what}; name the output directory of a run, as runs/quickstart")
    if not (folder / "run.toml").is_file():
        raise BadInput(
            f"{folder} has no run.toml; name the output directory of a run of mpiedge train"
        )
    if not (folder / "result.json").is_file():
        raise BadInput(
            f"the run in {folder} ended before it was finished (no result.json); train it again"
        )
    return read(folder / "run.toml", overrides)


def reopen(folder: Path, settings: RunSettings, transport: Transport) -> Reopened:
    """Lay the model over the ranks there are and load the tuned weights into it."""
    # How the work was laid out for training says nothing about the ranks there are now.
    strategy = StrategySettings(name="pipeline" if transport.size > 1 else "standalone")
    opened = open_run(replace(settings, strategy=strategy), transport, beside=folder)
    plan = plan_run(opened, Extent(batches=1, micro_batches=1))[0].plan.frozen()
    shard = collectively(transport, lambda: _loaded(folder / "adapter", opened, plan))
    return Reopened(opened, plan, shard)


def _loaded(adapter: Path, opened: Opened, plan: PartitionPlan) -> Shard:
    layers = plan.layers_of(opened.transport.rank)
    shard = load(opened.blueprint, layers, opened.device, tuned=opened.tuned)
    tuned = shard.tuned_parameters()
    saved = read_adapter(adapter, tuned.keys()).tensors
    for name, parameter in tuned.items():
        if name not in saved or saved[name].shape != parameter.shape:
            found = tuple(saved[name].shape) if name in saved else "missing"
            raise BadInput(
                f"{adapter}: {name} is {found}, the model needs {tuple(parameter.shape)}; "
                f"the run file beside it belongs to another adapter"
            )
        with torch.no_grad():
            parameter.copy_(saved[name])
    return shard
