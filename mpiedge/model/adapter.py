"""What is trained in a model: which kind of adapter, where, and with which first values.

Adapters are put into the whole model before any weights are read (on the meta device, where a
module costs nothing), so a layer brings its adapters along to whatever rank holds it.  First
values depend on the seed and the parameter's name only: any partition starts from the same ones.
"""

import hashlib

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model import bottleneck, lora
from mpiedge.model.building import one_at_a_time
from mpiedge.model.settings import AdapterSettings

KINDS = ("lora", "bottleneck", "full")


@one_at_a_time
def inject(
    model: PreTrainedModel, settings: AdapterSettings, family: str, heads: tuple[str, ...]
) -> None:
    """Put adapters into a model and let only them and the modules ``heads`` be trained."""
    check(settings)
    if any(is_adapter(name) for name, _ in model.named_parameters()):
        raise BadInput("this model has an adapter already; load the model anew to give it another")
    if settings.kind == "full":
        model.float().requires_grad_(True)
        return
    if settings.kind == "lora":
        lora.inject_lora(model, settings, family, heads)
    else:
        bottleneck.inject_bottleneck(model, settings, family, heads)
    for head in heads:
        _train_head(model.get_submodule(head))
    # New modules start in training mode, also in a model that is being evaluated.
    model.train(model.training)


def check(settings: AdapterSettings) -> None:
    """Refuse settings that no adapter can be made from."""
    if settings.kind == "parallel":
        raise BadInput(
            "adapter.kind: parallel is not available in this version; "
            f"choose one of {', '.join(KINDS)}"
        )
    if settings.kind not in KINDS:
        raise BadInput(
            f"adapter.kind: {settings.kind} is not known; choose one of {', '.join(KINDS)}"
        )
    sizes = {"r": settings.r, "alpha": settings.alpha, "bottleneck": settings.bottleneck}
    for name, size in sizes.items():
        if size <= 0:
            raise BadInput(f"adapter.{name}: must be at least 1, not {size}")
    if not 0 <= settings.dropout < 1:
        raise BadInput(f"adapter.dropout: must be at least 0 and below 1, not {settings.dropout}")


def tuned_names(
    model: nn.Module, settings: AdapterSettings, heads: tuple[str, ...]
) -> frozenset[str]:
    """The names of the parameters that are trained, in a model with its adapters in place."""
    names = (name for name, _ in model.named_parameters())
    if settings.kind == "full":
        return frozenset(names)
    inside = tuple(f"{head}." for head in heads)
    return frozenset(name for name in names if is_adapter(name) or name.startswith(inside))


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is that of an adapter's, rather than the model's own."""
    return any(mark in name for mark in lora.MARKS + bottleneck.MARKS)


def initialise(name: str, shape: torch.Size, seed: int) -> Tensor | None:
    """First values of an adapter's parameter, on the CPU in float32; None for any other's."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    if any(mark in name for mark in lora.MARKS):
        return lora.lora_value(name, shape, generator)
    if any(mark in name for mark in bottleneck.MARKS):
        return bottleneck.bottleneck_value(name, shape, generator)
    return None


def _train_head(head: nn.Module) -> None:
    # A half-precision model hands its head half-precision rows.
    head.float().requires_grad_(True)
    head.register_forward_pre_hook(_in_float)


def _in_float(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.float() for each in inputs)
