"""Low-rank updates, made by PEFT.

PEFT's own modules are put into the model, so that what is trained is by construction what
plain PEFT loads.  Only the names of the layers are worked out here: from the settings, or usual
ones of the family, and checked against the model before PEFT sees them.
"""

import re
from typing import Any

import torch
from peft import LoraConfig, TaskType, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.site import linear_layers, matching, sites_of

MARKS = (".lora_A.default.", ".lora_B.default.")
TASKS = {
    Purpose.CLASSIFICATION: TaskType.SEQ_CLS,
    Purpose.REGRESSION: TaskType.SEQ_CLS,
    Purpose.LANGUAGE: TaskType.CAUSAL_LM,
    Purpose.SEQ2SEQ: TaskType.SEQ_2_SEQ_LM,
}


def inject_lora(
    model: PreTrainedModel, settings: AdapterSettings, family: str, heads: tuple[str, ...]
) -> None:
    """Put PEFT's LoRA modules into a model, with float32 weights whatever the model's are."""
    layers = linear_layers(model, heads)
    targets = _targets(layers, settings, family)
    config = lora_config(settings, family, target_modules=targets)
    on_meta = next(model.parameters()).is_meta
    inject_adapter_in_model(config, model, low_cpu_mem_usage=on_meta)
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.lora_A.float()
            module.lora_B.float()


def lora_config(settings: AdapterSettings, family: str, **more: Any) -> LoraConfig:
    """The settings as PEFT's configuration."""
    sites = sites_of(family)
    usual = {"target_modules": settings.target_modules or list(sites.lora)}
    return LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        fan_in_fan_out=sites.transposed,
        **{**usual, **more},
    )


def _targets(layers: dict[str, nn.Module], settings: AdapterSettings, family: str) -> list[str]:
    """Full names of the layers that get an update."""
    wanted = settings.target_modules or list(sites_of(family).lora)
    found = {word: matching(layers, re.escape(word)) for word in wanted}
    for word, names in found.items():
        if not names:
            there = sorted({name.rpartition(".")[2] for name in layers})
            raise BadInput(
                f"adapter.target_modules: no linear layer of this model is called {word}; "
                f"there are {', '.join(there)}"
            )
    return sorted({name for names in found.values() for name in names})


def lora_value(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """First values as PEFT draws them: the A factor uniform within 1/sqrt(inputs), B zero."""
    if ".lora_B." in name:
        return torch.zeros(shape)
    return nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5, generator=generator)
