"""What was trained, as files that other programs load.

LoRA becomes a PEFT checkpoint, full fine-tuning a transformers checkpoint; bottleneck and parallel
adapters, which PEFT does not have, lie in PEFT's two files under types of our own.  Every file is
written beside its place and renamed, so a crash leaves the old one or the new one, never half of
one.
"""

import copy
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model import lora
from mpiedge.model.families import FAMILIES
from mpiedge.model.narrow import side_heads
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.side import chosen_merge

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MODEL_CONFIG = "config.json"
MODEL_WEIGHTS = "model.safetensors"
BOTTLENECK = "MPIEDGE_BOTTLENECK"
BOTTLENECK_SETTINGS = ("bottleneck", "placement", "activation", "dropout")
LOWEST = "lowest"
PARALLEL = "MPIEDGE_PARALLEL"
PARALLEL_SETTINGS = ("reduction", "heads", "form", "likeness", "merge", "initial", "dropout")
_PREFIX = "base_model.model."


class Origin(NamedTuple):
    """The model that was trained, and what for."""

    base: str  # folder or hub id, as someone who loads the adapter would name it
    purpose: Purpose
    heads: tuple[str, ...]  # modules trained whole beside the adapters
    config: PretrainedConfig
    architecture: type[PreTrainedModel]


def origin_of(
    model: PreTrainedModel, base: str, purpose: Purpose, heads: tuple[str, ...]
) -> Origin:
    """The origin of what is trained in a model, which may be on the meta device."""
    return Origin(base, purpose, heads, model.config, type(model))


def save_adapter(
    folder: Path, settings: AdapterSettings, tensors: Mapping[str, Tensor], origin: Origin
) -> None:
    """Write trained parameters, given by the names they have in the model, into a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if settings.kind == "full":
            _write_weights(folder / MODEL_WEIGHTS, tensors)
            _write_text(folder / MODEL_CONFIG, _model_config(origin))
            return
        config, settings = _CONFIGS[settings.kind], _placed(settings, tensors)
        stored = {stored_name(name): tensor for name, tensor in tensors.items()}
        _write_weights(folder / ADAPTER_WEIGHTS, stored)
        _write_text(folder / ADAPTER_CONFIG, _json(config(settings, origin)))
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}; choose another") from error


def stored_name(name: str) -> str:
    """A parameter's name in a file: PEFT leaves out the adapter's own name."""
    for mark in lora.MARKS:
        name = name.replace(mark, mark.replace(".default", ""))
    return _PREFIX + name


def canonical_name(stored: str) -> str:
    """The name in the model of a parameter in a file."""
    name = stored.removeprefix(_PREFIX)
    for mark in lora.MARKS:
        name = name.replace(mark.replace(".default", ""), mark)
    return name


def _placed(settings: AdapterSettings, names: Iterable[str]) -> AdapterSettings:
    """The settings with the modules that have an update by full name, where not all blocks do.

    PEFT's own way to say so counts blocks in one row, which a model with a decoder apart has not.
    """
    if settings.kind != "lora" or settings.lowest <= 1:
        return settings
    mark = lora.MARKS[0]
    places = sorted(name.partition(mark)[0] for name in names if mark in name)
    return replace(settings, target_modules=places)


def _lora_config(settings: AdapterSettings, origin: Origin) -> dict[str, Any]:
    config = lora.lora_config(settings, origin.config.model_type, **_about(origin))
    fields: dict[str, Any] = config.to_dict()
    return {**fields, "target_modules": sorted(fields["target_modules"])}


def _bottleneck_config(settings: AdapterSettings, origin: Origin) -> dict[str, Any]:
    names = (*BOTTLENECK_SETTINGS, *([LOWEST] if settings.lowest > 1 else []))
    return {"peft_type": BOTTLENECK, **_about(origin), **_some(settings, names)}


def _parallel_config(settings: AdapterSettings, origin: Origin) -> dict[str, Any]:
    # The number of heads shows in no tensor's shape, so what was chosen is written down; the
    # merge with it.
    widths = FAMILIES[origin.config.model_type].widths(origin.config)
    settings = replace(settings, merge=chosen_merge(settings.merge, bool(origin.heads)))
    chosen = replace(settings, heads=side_heads(widths, settings.reduction, settings.heads))
    return {"peft_type": PARALLEL, **_about(origin), **_some(chosen, PARALLEL_SETTINGS)}


_CONFIGS = {"lora": _lora_config, "bottleneck": _bottleneck_config, "parallel": _parallel_config}


def _some(settings: AdapterSettings, names: tuple[str, ...]) -> dict[str, Any]:
    every = asdict(settings)
    return {name: every[name] for name in names}


def _about(origin: Origin) -> dict[str, Any]:
    made_in = {
        "base_model_class": origin.architecture.__name__,
        "parent_library": origin.architecture.__module__,
    }
    return {
        "task_type": lora.TASKS[origin.purpose].value,
        "base_model_name_or_path": origin.base,
        "modules_to_save": list(origin.heads) or None,
        "inference_mode": True,
        "auto_mapping": made_in,
    }


def _model_config(origin: Origin) -> str:
    config = copy.deepcopy(origin.config)
    config.architectures = [origin.architecture.__name__]
    config.dtype = torch.float32
    text: str = config.to_json_string(use_diff=True)
    return text


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def _write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def write(beside: Path) -> None:
        # safetensors makes files that only their owner can read; this one is as any other.
        beside.touch()
        mode = beside.stat().st_mode
        save_file(plain, beside, metadata={"format": "pt"})
        beside.chmod(mode)

    _replace(path, write)


def _write_text(path: Path, text: str) -> None:
    _replace(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    beside = path.with_name(f".{path.name}.partial")
    write(beside)
    os.replace(beside, path)
