"""Bottleneck adapters: a small two-layer network behind a linear layer, added to its output.

Pfeiffer's placement has one behind each feed-forward part, Houlsby's one behind each attention
part too.  The up-projection starts at zero, so that a fresh adapter changes nothing.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from mpiedge.errors import BadInput
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.site import linear_layers, matching, sites_of

MARKS = (".adapter_down.", ".adapter_up.")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}


class Bottleneck(nn.Module):
    """A linear layer with an adapter behind it: y + up(f(down(y)))."""

    def __init__(self, layer: nn.Linear | Conv1D, settings: AdapterSettings) -> None:
        super().__init__()
        # Conv1D keeps its weight as [in, out]: its outputs are `nf`.
        width = layer.out_features if isinstance(layer, nn.Linear) else layer.nf
        device = layer.weight.device
        self.base_layer = layer
        self.dropout = nn.Dropout(settings.dropout)
        # float32 also behind half-precision layers: small updates would be rounded away.
        self.adapter_down = nn.Linear(
            width, settings.bottleneck, device=device, dtype=torch.float32
        )
        self.adapter_up = nn.Linear(settings.bottleneck, width, device=device, dtype=torch.float32)
        self.activation = ACTIVATIONS[settings.activation]
        for start in (self.adapter_down.bias, self.adapter_up.weight, self.adapter_up.bias):
            nn.init.zeros_(start)

    @property
    def weight(self) -> Tensor:
        """The wrapped layer's, whose dtype T5 reads before it calls the layer."""
        weight: Tensor = self.base_layer.weight
        return weight

    @property
    def bias(self) -> Tensor | None:
        """The wrapped layer's."""
        bias: Tensor | None = self.base_layer.bias
        return bias

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output and the adapter's correction to it."""
        y: Tensor = self.base_layer(x)
        narrow = self.activation(self.adapter_down(self.dropout(y.float())))
        change: Tensor = self.adapter_up(narrow)
        return y + change.to(y.dtype)


def inject_bottleneck(
    model: PreTrainedModel, settings: AdapterSettings, family: str, heads: tuple[str, ...]
) -> None:
    """Wrap the linear layers that end a block's parts."""
    if settings.activation not in ACTIVATIONS:
        raise BadInput(
            f"adapter.activation: {settings.activation} is not known; "
            f"choose one of {', '.join(ACTIVATIONS)}"
        )
    layers = linear_layers(model, heads)
    for name in sites(layers, settings, family):
        model.set_submodule(name, Bottleneck(layers[name], settings))
    model.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, Bottleneck):
            module.adapter_down.requires_grad_(True)
            module.adapter_up.requires_grad_(True)


def sites(layers: dict[str, nn.Module], settings: AdapterSettings, family: str) -> list[str]:
    """The names of the layers that an adapter goes behind."""
    there = sites_of(family)
    patterns = {
        "pfeiffer": there.feed_forward,
        "houlsby": f"{there.feed_forward}|{there.attention}",
    }
    if settings.placement not in patterns:
        raise BadInput(
            f"adapter.placement: {settings.placement} is not known; "
            f"choose one of {', '.join(patterns)}"
        )
    return matching(layers, patterns[settings.placement])


def bottleneck_value(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """First values: the down-projection as a linear layer's, everything else zero."""
    if not name.endswith(".adapter_down.weight"):
        return torch.zeros(shape)
    return nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5, generator=generator)
