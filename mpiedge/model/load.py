"""Some layers of a model made real: their tensors are read, the others stay on the meta device.

Tensors are taken over one by one, in their final number format, so the most memory ever needed is
that of the held layers and one tensor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mpiedge.errors import BadInput
from mpiedge.model.adapter import initial_side, is_adapter
from mpiedge.model.anatomy import SIDE, aliases
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.building import one_at_a_time
from mpiedge.model.checkpoint import Checkpoint, FileCheckpoint
from mpiedge.model.freed import give_back
from mpiedge.model.fresh import fresh
from mpiedge.model.gguf import GgufCheckpoint
from mpiedge.model.quantize import format_of
from mpiedge.model.quantized_weight import quantized
from mpiedge.model.shard import Shard
from mpiedge.model.side import copies, own_copy


class Slot(NamedTuple):
    """A tensor that is to be filled, and all the places it is seen from."""

    name: str  # in the model, canonical
    tensor: Tensor  # on the meta device
    places: tuple[str, ...]


class Parts(str, Enum):
    """What of a layer is made real, where a side network stands beside the model."""

    ALL = "all"
    BACKBONE = "backbone"  # the model's own
    SIDE = "side"  # the side network's, and the head whole


@dataclass(frozen=True)
class Terms:
    """How a rank wants its tensors."""

    device: torch.device
    tuned: frozenset[str]  # these are float32 whatever the others are
    seed: int


@one_at_a_time
def load(  # noqa: PLR0913 - what follows the star are wishes, and each has a default
    blueprint: Blueprint,
    layers: Iterable[int],
    device: torch.device | str = "cpu",
    *,
    tuned: frozenset[str] = frozenset(),
    seed: int = 0,
    parts: Parts = Parts.ALL,
    values: Mapping[str, Tensor] = MappingProxyType({}),
) -> Shard:
    """Make layers of the blueprint's model real, in place; what is real already is left alone.

    Where ``values`` has a parameter's by its name, they are taken.
    """
    held = frozenset(layers)
    names = needed(blueprint, held, parts)
    terms = Terms(torch.device(device), tuned, seed)
    _make_buffers(blueprint, names, terms.device)
    checkpoint = open_checkpoint(blueprint)
    slots = _empty_slots(blueprint, names)
    for name in sorted(slots.keys() & values.keys()):
        _take(blueprint, slots.pop(name), values[name], terms)
    stored: dict[str | None, list[Slot]] = {}
    for name, slot in slots.items():
        # A side network's copies are read together with what they are copies of.
        stored.setdefault(_locate(checkpoint, blueprint, name), []).append(slot)
    missing = {slot.name for slot in stored.pop(None, [])}
    for key, tensor in checkpoint.read([key for key in stored if key is not None]):
        for slot in stored[key]:
            own = own_copy(blueprint.model, slot.name, tensor)
            if _fits(blueprint, slot, own):
                _fill(blueprint, slot, own, terms)
            else:
                missing.add(slot.name)
        # Before the next is read: what was converted must not lie about beside it.
        del tensor, own
        give_back()
    for name in sorted(missing):
        _begin(blueprint, slots[name], terms)
    _read_buffers(blueprint, checkpoint, names)
    return Shard(blueprint, held, tuned, bare=parts is Parts.BACKBONE)


def needed(blueprint: Blueprint, layers: Iterable[int], parts: Parts = Parts.ALL) -> frozenset[str]:
    """The names of the parameters and buffers that loading these layers makes real."""
    held, last = frozenset(layers), blueprint.num_layers - 1
    model = blueprint.model
    places = {
        name: held.intersection(blueprint.layers_of(name))
        for each in (model.named_parameters(), model.named_buffers())
        for name, _ in each
    }

    def wanted(name: str, found: frozenset[int]) -> bool:
        beside = name.startswith(SIDE)
        if parts is Parts.SIDE and not beside:
            return last in found
        return bool(found) and not (beside and parts is Parts.BACKBONE)

    return frozenset(name for name, found in places.items() if wanted(name, found))


@one_at_a_time
def unload(blueprint: Blueprint, keep: frozenset[str]) -> None:
    """Put parameters and buffers back on the meta device, all but those named in ``keep``.

    Their memory goes back to the system, as far as nobody else holds them.
    """
    model = blueprint.model
    names = aliases(model)
    for name, each in list(model.named_parameters()):
        if name not in keep and not each.is_meta:
            empty = torch.empty(each.shape, dtype=each.dtype, device="meta")
            _register(blueprint, names[name], nn.Parameter(empty, requires_grad=each.requires_grad))
    persistent = model.state_dict().keys()
    for name, each in list(model.named_buffers()):
        if name not in keep and not each.is_meta:
            path, _, attribute = name.rpartition(".")
            empty = torch.empty_like(each, device="meta")
            kept = name in persistent
            model.get_submodule(path).register_buffer(attribute, empty, persistent=kept)
    give_back()


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


def _empty_slots(blueprint: Blueprint, names: frozenset[str]) -> dict[str, Slot]:
    parameters = dict(blueprint.model.named_parameters())
    return {
        name: Slot(name, parameters[name], places)
        for name, places in aliases(blueprint.model).items()
        if parameters[name].is_meta and name in names
    }


def _locate(checkpoint: Checkpoint, blueprint: Blueprint, name: str) -> str | None:
    if is_adapter(name) and name not in copies(blueprint.model):
        return None
    anatomy = blueprint.anatomy
    return checkpoint.locate(anatomy.names(anatomy.original(name)))


def _take(blueprint: Blueprint, slot: Slot, tensor: Tensor, terms: Terms) -> None:
    if tensor.shape != slot.tensor.shape:
        raise ValueError(
            f"{slot.name} is {tuple(slot.tensor.shape)}, the values given are {tuple(tensor.shape)}"
        )
    _fill(blueprint, slot, tensor, terms)


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
    side = initial_side(blueprint.model, slot.name, terms.seed)
    first = fresh(slot.name, slot.tensor.shape, terms.seed, spread) if side is None else side
    _fill(blueprint, slot, first, terms)


def _fill(blueprint: Blueprint, slot: Slot, tensor: Tensor, terms: Terms) -> None:
    trained = slot.name in terms.tuned
    overflows = any(part in slot.name for part in blueprint.family.float32)
    wide = trained or is_adapter(slot.name) or (overflows and blueprint.dtype is torch.float16)
    dtype = torch.float32 if wide else blueprint.dtype
    form = format_of(blueprint.quantize, blueprint.model, blueprint.anatomy, slot.name)
    if form is None or trained:
        values = tensor.to(terms.device, dtype)
    else:
        values = quantized(tensor, form, dtype, terms.device)
    _register(blueprint, slot.places, nn.Parameter(values, requires_grad=trained))


def _register(blueprint: Blueprint, places: Iterable[str], parameter: nn.Parameter) -> None:
    for place in places:
        module, _, attribute = place.rpartition(".")
        blueprint.model.get_submodule(module).register_parameter(attribute, parameter)


def _make_buffers(blueprint: Blueprint, names: frozenset[str], device: torch.device) -> None:
    """Compute the constants among ``names``, such as rotary frequencies; no checkpoint has them."""
    persistent = blueprint.model.state_dict().keys()
    for path, module in blueprint.model.named_modules():
        buffers = dict(module.named_buffers(prefix=path, recurse=False))
        empty = {name: each for name, each in buffers.items() if each.is_meta}
        if names.isdisjoint(empty):
            continue
        for name, each in empty.items():
            real = torch.empty_like(each, device=device)
            module.register_buffer(name.rpartition(".")[2], real, persistent=name in persistent)
        # What transformers itself calls for buffers after building on the meta device.
        blueprint.model._init_weights(module)


def _read_buffers(blueprint: Blueprint, checkpoint: Checkpoint, names: frozenset[str]) -> None:
    """Read those buffers that a checkpoint may have, such as BART's bias of the logits."""
    persistent = blueprint.model.state_dict().keys()
    for name, buffer in blueprint.model.named_buffers():
        if name not in persistent or name not in names:
            continue
        key = checkpoint.locate((name,))
        for _, tensor in checkpoint.read([key] if key else []):
            buffer.copy_(tensor)


def _prefixes(modules: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{module}." for module in modules)
