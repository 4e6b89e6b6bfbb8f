"""LoRA's updates added to the weights they belong to, so that nothing of mpiedge or PEFT is left.

Only where that is possible: an update is a matrix that can be added.  Bottleneck adapters and side
networks compute something of their own, and no weights of the model do the same.
"""

from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model.settings import AdapterSettings

MERGED = ("lora", "full")
"""Kinds of adapters that become part of the model's own weights."""


def check_mergeable(settings: AdapterSettings, base: str, adapter: str) -> None:
    """Raise BadInput for an adapter that cannot be added to a model's weights."""
    if settings.kind not in MERGED:
        raise BadInput(
            f"adapter.kind {settings.kind} cannot be merged into the model's weights, as "
            f"{' and '.join(MERGED)} can; load it in Python with mpiedge.load({base!r}, "
            f"{adapter!r})"
        )


def merge(model: PreTrainedModel) -> PreTrainedModel:
    """Add LoRA's updates to the weights of a model on the CPU, in place; gives the plain model.

    No weight with an update is another layer's too: a head, which may share its weight with the
    embedding, never has one.
    """
    for name, module in [*model.named_modules()]:
        if isinstance(module, BaseTunerLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
    return model.requires_grad_(False).eval()
