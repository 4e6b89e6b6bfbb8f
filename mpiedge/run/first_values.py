"""What a side network begins with: the model's own weights, cut to its size."""

from collections.abc import Iterator

from torch import Tensor

from mpiedge.comm.values import decided
from mpiedge.errors import BadInput
from mpiedge.model.activation import entrance
from mpiedge.model.blueprint import open_model
from mpiedge.model.fisher import Batch, fisher, fisher_bytes
from mpiedge.model.load import load, unload
from mpiedge.model.prune import pruned
from mpiedge.pipeline.feed import Feed
from mpiedge.pipeline.hand_over import hand_over
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.opening import Opened

FISHER_BATCHES = 64
"""Batches that are looked at; their sum hardly changes after some hundreds of examples."""


def first_values(opened: Opened, plan: PartitionPlan) -> dict[str, Tensor]:
    """First values for the tuned weights that this rank holds under a plan; called by all.

    Those that are not among them are drawn.
    """
    adapter, blueprint = opened.settings.adapter, opened.blueprint
    if adapter.kind != "parallel" or adapter.initial == "plain":
        return {}
    wanted = {
        rank: [n for n in sorted(opened.tuned) if rank in plan.ranks_of(blueprint.layers_of(n))]
        for rank in plan.ranks
    }
    here = wanted.get(opened.transport.rank, [])
    if adapter.initial == "magnitude":
        return pruned(blueprint, wanted=here)
    return _by_gradients(opened, wanted)


def _by_gradients(opened: Opened, wanted: dict[int, list[str]]) -> dict[str, Tensor]:
    """Rank 0 looks at some examples with the whole model, and tells the others."""
    found: dict[str, Tensor] = {}

    def look() -> list[str]:
        _check_memory(opened)
        found.update(_weighed(opened))
        return sorted(found)

    names = set(decided(opened.transport, look))
    owners = dict.fromkeys(sorted(names), 0)
    asked = {rank: [name for name in some if name in names] for rank, some in wanted.items()}
    held = {name: (value,) for name, value in found.items()}
    received = hand_over(opened.transport, held, owners, asked)
    return {name: tensors[0] for name, tensors in received.items()}


def _weighed(opened: Opened) -> dict[str, Tensor]:
    plain = open_model(opened.settings.model, opened.purpose, len(opened.labels) or 1)
    shard = load(plain, range(plain.num_layers), opened.device, seed=opened.settings.training.seed)
    sums = fisher(shard, _batches(opened), opened.task.loss, FISHER_BATCHES)
    unload(plain, frozenset())
    return pruned(opened.blueprint, lambda name, _: sums[name], wanted=opened.tuned)


def _batches(opened: Opened) -> Iterator[Batch]:
    """Training examples, a micro-batch at a time."""
    size, examples = opened.settings.training.micro_batch_size, opened.task.examples("train")
    feed = Feed(opened.task, examples, opened.blueprint.bridge)
    for start in range(0, len(examples), size):
        numbers = tuple(range(start, min(start + size, len(examples))))
        one = feed.micro_batch((numbers,), 0)
        entries = {
            layer: tuple(each.to(opened.device) for each in entry)
            for layer, entry in one.entries.items()
        }
        yield Batch(entrance(one.mask.to(opened.device)), entries, one.labels.to(opened.device))


def _check_memory(opened: Opened) -> None:
    settings = opened.settings
    tokens = (settings.training.micro_batch_size, settings.task.max_length)
    needed = fisher_bytes(opened.blueprint, tokens)
    free = opened.host.free_memory // opened.host.ranks
    if needed > free:
        raise BadInput(
            f"adapter.initial fisher needs {needed / 2**20:.0f} MiB on rank 0, which has "
            f"{free / 2**20:.0f} MiB free; set adapter.initial to magnitude"
        )
