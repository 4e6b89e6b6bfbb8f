"""Some layers of a model made real: their tensors are read, the others stay on the meta device.

Tensors are taken over one by one, in their final number format, so the most memory ever needed is
that of the held layers and one tensor.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mpiedge.errors import BadInput
from mpiedge.model.adapter import is_adapter
from mpiedge.model.anatomy import WRAPPED, aliases
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.building import one_at_a_time
from mpiedge.model.checkpoint import Checkpoint, FileCheckpoint
from mpiedge.model.fresh import fresh
from mpiedge.model.gguf import GgufCheckpoint
from mpiedge.model.shard import Shard


class Slot(NamedTuple):
    """A tensor that is to be filled, and all the places it is seen from."""

    name: str  # in the model, canonical
    tensor: Tensor  # on the meta device
    places: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """How a rank wants its tensors."""

    device: torch.device
    tuned: frozenset[str]  # these are float32 whatever the others are
    seed: int


@one_at_a_time
def load(
    blueprint: Blueprint,
    layers: Iterable[int],
    device: torch.device | str = "cpu",
    *,
    tuned: frozenset[str] = frozenset(),
    seed: int = 0,
) -> Shard:
    """Make layers of the blueprint's model real, in place; what is real already is left alone."""
    held = frozenset(layers)
    terms = Terms(torch.device(device), tuned, seed)
    _make_buffers(blueprint, held, terms.device)
    checkpoint = open_checkpoint(blueprint)
    slots = {slot.name: slot for slot in _empty_slots(blueprint, held)}
    stored = {name: _locate(checkpoint, blueprint, name) for name in slots}
    missing = {name for name, key in stored.items() if key is None}
    wanted = {key: name for name, key in stored.items() if key is not None}
    for key, tensor in checkpoint.read(wanted):
        slot = slots[wanted[key]]
        if _fits(blueprint, slot, tensor):
            _fill(blueprint, slot, tensor, terms)
        else:
            missing.add(slot.name)
    for name in sorted(missing):
        _begin(blueprint, slots[name], terms)
    _read_buffers(blueprint, checkpoint, held)
    return Shard(blueprint, held, tuned)


def absent_modules(blueprint: Blueprint) -> tuple[str, ...]:
    """Modules of a pretrained model that its checkpoint lacks, as BERT's pooler may be.

    They are drawn anew, so they have to be trained and saved like a head.
    """
    checkpoint = open_checkpoint(blueprint)
    names = [name for name, _ in blueprint.model.named_parameters()]
    return tuple(
        module
        for module in blueprint.family.optional
        if any(
            name.startswith(f"{module}.") and _locate(checkpoint, blueprint, name) is None
            for name in names
        )
    )


def open_checkpoint(blueprint: Blueprint) -> Checkpoint:
    """Where the weights of a blueprint's model are read from."""
    if blueprint.source.gguf:
        return GgufCheckpoint(blueprint.source, blueprint.config)
    return FileCheckpoint(blueprint.source, f"{blueprint.model.base_model_prefix}.")


def _empty_slots(blueprint: Blueprint, held: frozenset[int]) -> Iterator[Slot]:
    parameters = dict(blueprint.model.named_parameters())
    for name, places in aliases(blueprint.model).items():
        if parameters[name].is_meta and not held.isdisjoint(blueprint.layers_of(name)):
            yield Slot(name, parameters[name], places)


def _locate(checkpoint: Checkpoint, blueprint: Blueprint, name: str) -> str | None:
    if is_adapter(name):
        return None
    return checkpoint.locate(blueprint.anatomy.names(name.replace(WRAPPED, "")))


def _fits(blueprint: Blueprint, slot: Slot, tensor: Tensor) -> bool:
    """Whether a stored tensor has the model's shape; another task's head may have another."""
    if tensor.shape == slot.tensor.shape:
        return True
    if slot.name.startswith(_prefixes(blueprint.head.trained)):
        return False
    raise BadInput(
        f"model.name: {blueprint.source.name}: {slot.name} is {tuple(tensor.shape)} in the "
        f"checkpoint, but {tuple(slot.tensor.shape)} by its config.json; copy the model anew"
    )


def _begin(blueprint: Blueprint, slot: Slot, terms: Terms) -> None:
    """Fill a slot for which the checkpoint has nothing."""
    new = _prefixes((*blueprint.head.trained, *blueprint.family.optional))
    if not is_adapter(slot.name) and not slot.name.startswith(new):
        raise BadInput(
            f"model.name: {blueprint.source.name}: the checkpoint has no {slot.name}; "
            "copy the model anew, or choose one that was saved whole"
        )
    spread = blueprint.family.spread(blueprint.config)
    _fill(blueprint, slot, fresh(slot.name, slot.tensor.shape, terms.seed, spread), terms)


def _fill(blueprint: Blueprint, slot: Slot, tensor: Tensor, terms: Terms) -> None:
    trained = slot.name in terms.tuned
    overflows = any(part in slot.name for part in blueprint.family.float32)
    wide = trained or (overflows and blueprint.dtype is torch.float16)
    dtype = torch.float32 if wide else blueprint.dtype
    parameter = nn.Parameter(tensor.to(terms.device, dtype), requires_grad=trained)
    for place in slot.places:
        module, _, attribute = place.rpartition(".")
        blueprint.model.get_submodule(module).register_parameter(attribute, parameter)


def _make_buffers(blueprint: Blueprint, held: frozenset[int], device: torch.device) -> None:
    """Compute the held layers' constants, such as rotary frequencies, which no checkpoint has."""
    persistent = blueprint.model.state_dict().keys()
    for path, module in blueprint.model.named_modules():
        buffers = dict(module.named_buffers(prefix=path, recurse=False))
        empty = {name: each for name, each in buffers.items() if each.is_meta}
        if all(held.isdisjoint(blueprint.layers_of(name)) for name in empty):
            continue
        for name, each in empty.items():
            real = torch.empty_like(each, device=device)
            module.register_buffer(name.rpartition(".")[2], real, persistent=name in persistent)
        # What transformers itself calls for buffers after building on the meta device.
        blueprint.model._init_weights(module)


def _read_buffers(blueprint: Blueprint, checkpoint: Checkpoint, held: frozenset[int]) -> None:
    """Read those buffers that a checkpoint may have, such as BART's bias of the logits."""
    persistent = blueprint.model.state_dict().keys()
    for name, buffer in blueprint.model.named_buffers():
        if name not in persistent or held.isdisjoint(blueprint.layers_of(name)):
            continue
        key = checkpoint.locate((name,))
        for _, tensor in checkpoint.read([key] if key else []):
            buffer.copy_(tensor)


def _prefixes(modules: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{module}." for module in modules)
