"""Trained parameters read back from the files that export wrote, or that PEFT wrote.

A file cut short, or an adapter made for another model, ends here with a sentence and never
becomes wrong numbers.
"""

import dataclasses
import json
from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model import export, lora
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.anatomy import dissect
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.families import family_of, head_of
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings
from mpiedge.model.side_forward import run_beside
from mpiedge.model.source import Source

# What LoraConfig can say and our settings cannot.
_FOREIGN = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "layers_to_transform")


class Saved(NamedTuple):
    """What a folder holds."""

    settings: AdapterSettings
    purpose: Purpose | None  # regression reads as classification; None where nothing says it
    heads: tuple[str, ...]  # modules trained whole beside the adapters
    architecture: str  # transformers class it was trained in; empty where the files do not say
    tensors: dict[str, Tensor]  # by name in the model with its adapters in place


def load_adapter(model: PreTrainedModel, folder: str | Path) -> PreTrainedModel:
    """Put a saved adapter into the transformers model it was trained on, and return the model."""
    saved = read_adapter(Path(folder))
    found = type(model).__name__
    if saved.architecture not in {"", found}:
        raise BadInput(
            f"{folder}: this adapter was trained in a {saved.architecture}, the model given is a "
            f"{found}; load the adapter's base model with {saved.architecture}.from_pretrained"
        )
    saved = saved._replace(heads=whole_names(model, saved.heads))
    beside = saved.purpose if saved.settings.kind == "parallel" else None
    # How a model is cut is found out before adapters are in it.
    blueprint = None if beside is None else _blueprint(model, beside)
    inject(model, saved.settings, model.config.model_type, saved.heads)
    check_tensors(model, saved, str(folder))
    with torch.no_grad():
        for name, tensor in saved.tensors.items():
            model.get_parameter(name).copy_(tensor)
    if blueprint is not None and beside is not None:
        run_beside(blueprint, beside)
    return model


def read_adapter(folder: Path, names: Container[str] | None = None) -> Saved:
    """The settings and tensors in a folder; with ``names``, of the tensors only those."""
    if (folder / export.ADAPTER_CONFIG).is_file():
        fields = _read_json(folder / export.ADAPTER_CONFIG)
        tensors = _read_tensors(folder / export.ADAPTER_WEIGHTS, names)
        return _adapter(fields, folder)._replace(tensors=tensors)
    if (folder / export.MODEL_CONFIG).is_file():
        fields = _read_json(folder / export.MODEL_CONFIG)
        tensors = _read_tensors(folder / export.MODEL_WEIGHTS, names)
        return _full(fields)._replace(tensors=tensors)
    raise BadInput(
        f"{folder}: neither {export.ADAPTER_CONFIG} nor {export.MODEL_CONFIG} is there; "
        "name the folder that a run wrote its adapter to"
    )


def _adapter(fields: dict[str, Any], folder: Path) -> Saved:
    readers = {
        "LORA": _lora_settings,
        export.BOTTLENECK: _bottleneck_settings,
        export.PARALLEL: _parallel_settings,
    }
    kind = fields.get("peft_type")
    if kind not in readers:
        raise BadInput(
            f"{folder / export.ADAPTER_CONFIG}: peft_type is {kind}; "
            f"it can be one of {', '.join(readers)}"
        )
    try:
        settings = readers[kind](fields, folder)
        tasks = {task.value: purpose for purpose, task in reversed(lora.TASKS.items())}
        purpose = tasks[fields["task_type"]]
    except KeyError as error:
        raise BadInput(
            f"{folder / export.ADAPTER_CONFIG}: {error.args[0]} is missing or not known; "
            "save the adapter anew"
        ) from error
    made_in = fields.get("auto_mapping") or {}
    heads = tuple(fields.get("modules_to_save") or ())
    return Saved(settings, purpose, heads, made_in.get("base_model_class", ""), {})


def _lora_settings(fields: dict[str, Any], folder: Path) -> AdapterSettings:
    targets = fields["target_modules"]
    foreign = [name for name in _FOREIGN if fields.get(name)]
    if not isinstance(targets, list):
        foreign.append("target_modules as a pattern")
    if foreign:
        raise BadInput(
            f"{folder / export.ADAPTER_CONFIG}: made with {', '.join(foreign)}, which mpiedge does "
            "not have; load it with peft.PeftModel.from_pretrained"
        )
    return AdapterSettings(
        kind="lora",
        r=fields["r"],
        alpha=fields["lora_alpha"],
        dropout=fields["lora_dropout"],
        target_modules=sorted(targets),
    )


def _bottleneck_settings(fields: dict[str, Any], folder: Path) -> AdapterSettings:
    names = (*export.BOTTLENECK_SETTINGS, *(fields.keys() & {export.LOWEST}))
    return AdapterSettings(kind="bottleneck", **_some(fields, names, folder))


def _parallel_settings(fields: dict[str, Any], folder: Path) -> AdapterSettings:
    return AdapterSettings(kind="parallel", **_some(fields, export.PARALLEL_SETTINGS, folder))


def _some(fields: dict[str, Any], names: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Some settings as they stand in a file, each of a type and value that it can have."""
    known = {each.name: each for each in dataclasses.fields(AdapterSettings)}
    for name in names:
        value, usual = fields[name], known[name].default
        kind = (int, float) if isinstance(usual, float) else type(usual)
        choices = known[name].metadata["declared"].choices
        if not isinstance(value, kind) or (choices and value not in choices):
            raise BadInput(
                f"{folder / export.ADAPTER_CONFIG}: {name} cannot be {value!r}; copy the file anew"
            )
    return {name: fields[name] for name in names}


def _full(fields: dict[str, Any]) -> Saved:
    architecture = (fields.get("architectures") or [""])[0]
    settings = AdapterSettings(kind="full")
    return Saved(settings, None, (), architecture, {})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path}: is not JSON ({error}); copy the file anew") from error
    if not isinstance(fields, dict):
        raise BadInput(f"{path}: holds no table of settings; copy the file anew")
    return fields


def _read_tensors(path: Path, names: Container[str] | None) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            keys: list[str] = file.keys()
            stored = {export.canonical_name(key): key for key in keys}
            kept = {name: key for name, key in stored.items() if names is None or name in names}
            return {name: file.get_tensor(key) for name, key in kept.items()}
    except FileNotFoundError as error:
        raise BadInput(f"{path}: is not there; copy the whole folder") from error
    except SafetensorError as error:
        raise BadInput(f"{path}: is damaged or cut short ({error}); copy it anew") from error


def whole_names(model: nn.Module, heads: tuple[str, ...]) -> tuple[str, ...]:
    """The heads' names in a model."""
    # PEFT writes the ends of names, and also those that other models' heads have.
    endings = tuple(f".{head}" for head in heads)
    return tuple(name for name, _ in model.named_modules() if f".{name}".endswith(endings))


def check_tensors(model: nn.Module, saved: Saved, folder: str) -> None:
    """Refuse an adapter whose tensors are not those of a model with its adapters in place."""
    parameters = dict(model.named_parameters())
    expected = tuned_names(model, saved.settings, saved.heads)
    for name in sorted(expected ^ saved.tensors.keys()):
        where = "the adapter" if name in expected else "the model"
        raise BadInput(f"{folder}: {where} has no {name}; load the model it was trained on")
    for name, tensor in saved.tensors.items():
        shape = parameters[name].shape
        if shape != tensor.shape:
            raise BadInput(
                f"{folder}: {name} is {tuple(tensor.shape)} in the adapter and {tuple(shape)} in "
                "the model; load the model it was trained on, with as many labels"
            )


def _blueprint(model: PreTrainedModel, purpose: Purpose) -> Blueprint:
    """A model that has its weights already and no adapters, as a row of layers."""
    source = Source(str(model.name_or_path), None)
    family = family_of(model.config.model_type, source.name)
    head = head_of(family, purpose)
    return Blueprint(source, family, head, model, dissect(family, head, model), model.dtype)
