"""What is trained in a model: which kind of adapter, where, and with which first values.

Adapters are put into the whole model before any weights are read (on the meta device, where a
module costs nothing), so a layer brings its adapters along to whatever rank holds it.  First
values depend on the seed and the parameter's name only: any partition starts from the same ones.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model import bottleneck, lora, side
from mpiedge.model.anatomy import SIDE
from mpiedge.model.building import one_at_a_time
from mpiedge.model.depth import bare
from mpiedge.model.draw import generator
from mpiedge.model.settings import AdapterSettings

KINDS = ("lora", "bottleneck", "parallel", "full")


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
    without = (*heads, *bare(model, family, settings.lowest))
    if settings.kind == "lora":
        lora.inject_lora(model, settings, family, without)
    elif settings.kind == "parallel":
        side.inject_side(model, settings, family, bool(heads))
    else:
        bottleneck.inject_bottleneck(model, settings, family, without)
    for head in heads:
        _train_head(model.get_submodule(head))
    # New modules start in training mode, also in a model that is being evaluated.
    model.train(model.training)


def check(settings: AdapterSettings) -> None:
    """Refuse settings that no adapter can be made from."""
    if settings.kind not in KINDS:
        raise BadInput(
            f"adapter.kind: {settings.kind} is not known; choose one of {', '.join(KINDS)}"
        )
    if settings.lowest > 1 and settings.kind not in ("lora", "bottleneck"):
        raise BadInput(
            f"adapter.lowest {settings.lowest} leaves blocks without an adapter, but adapter.kind "
            f"is {settings.kind}; set it to lora or bottleneck, or leave adapter.lowest out"
        )
    sizes = {"r": settings.r, "alpha": settings.alpha, "bottleneck": settings.bottleneck}
    sizes["reduction"] = settings.reduction
    for name, size in sizes.items():
        if size <= 0:
            raise BadInput(f"adapter.{name}: must be at least 1, not {size}")
    ways = {"form": (settings.form, side.FORMS), "merge": (settings.merge, side.MERGES)}
    for name, (way, known) in ways.items():
        if way not in known:
            raise BadInput(f"adapter.{name}: {way} is not known; choose one of {', '.join(known)}")
    if not 0 <= settings.dropout < 1:
        raise BadInput(f"adapter.dropout: must be at least 0 and below 1, not {settings.dropout}")


def tuned_names(
    model: nn.Module, settings: AdapterSettings, heads: tuple[str, ...]
) -> frozenset[str]:
    """The names of the parameters that are trained, in a model with its adapters in place."""
    names = [name for name, _ in model.named_parameters()]
    if settings.kind == "full":
        return frozenset(names)
    trained = [name for name in names if name.startswith(tuple(f"{head}." for head in heads))]
    trained += [name for name in names if is_adapter(name) and name not in side.copies(model)]
    return frozenset(trained)


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is that of an adapter's, rather than the model's own."""
    return name.startswith(SIDE) or any(mark in name for mark in lora.MARKS + bottleneck.MARKS)


def initialise(name: str, shape: torch.Size, seed: int) -> Tensor | None:
    """First values of an adapter's parameter, on the CPU in float32; None for any other's.

    Those of a side network need the network: ``initial_side`` has them.
    """
    drawing = generator(f"{seed}:{name}")
    if any(mark in name for mark in lora.MARKS):
        return lora.lora_value(name, shape, drawing)
    if any(mark in name for mark in bottleneck.MARKS):
        return bottleneck.bottleneck_value(name, shape, drawing)
    return None


def initial_side(model: nn.Module, name: str, seed: int) -> Tensor | None:
    """Plain first values of a side network's parameter, likewise; None for any other's."""
    network = side.side_of(model)
    if network is None or not name.startswith(SIDE):
        return None
    return network.first_value(name.removeprefix(SIDE), generator(f"{seed}:{name}"))


def _train_head(head: nn.Module) -> None:
    # A half-precision model hands its head half-precision rows.
    head.float().requires_grad_(True)
    head.register_forward_pre_hook(_in_float)


def _in_float(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.float() for each in inputs)
