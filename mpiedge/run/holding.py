"""What a rank's memory holds while it trains, by kind, as it is and not as it was planned."""

from collections.abc import Iterable

from torch import Tensor

from mpiedge.model.quantized_weight import stored_bytes
from mpiedge.run.phases import Entered


def holding(here: Entered) -> dict[str, int]:
    """Bytes of frozen weights, tuned ones, their gradients, and what the optimizer keeps of them.

    Gradients are counted in full: at the peak of an update there is one for each weight in tuning.
    """
    shard = here.shard
    tuned = shard.tuned_parameters()
    every = {k: v for layer in shard.held for k, v in shard.parameters_of(layer).items()}
    return {
        "frozen": _bytes(v for k, v in every.items() if k not in tuned and not v.is_meta),
        "tuned": _bytes(tuned.values()),
        "gradients": _bytes(each for each in tuned.values() if each.requires_grad),
        "optimizer": _bytes(moment for row in here.update.moments.values() for moment in row),
    }


def larger(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Of what was held at two times, the one that was more."""
    return max(one, other, key=lambda held: sum(held.values()))


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(map(stored_bytes, tensors))
