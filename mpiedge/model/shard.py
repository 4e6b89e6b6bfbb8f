"""The layers one rank holds, run in any order of calls that follows the row.

Beside a side network the model itself is frozen wherever it runs: without gradients, and without
dropout also in training, so that its memory stays that of inference.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from mpiedge.model.activation import Activation
from mpiedge.model.backbone import Backbone, computed
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.family import Context, Entry
from mpiedge.model.side import SideNetwork, side_of
from mpiedge.model.walk import Walk

Seeds = Callable[[int], int]

# torch has one generator a process, and ranks may be threads of one: a layer that draws its
# dropout from a seed of its own has the generator to itself meanwhile.
_GENERATOR = threading.Lock()


class Shard(nn.Module):
    """Some layers of a model, the parameters in them, and which of those are trained."""

    def __init__(
        self,
        blueprint: Blueprint,
        held: Iterable[int],
        tuned: frozenset[str] = frozenset(),
        bare: bool = False,
    ) -> None:
        """With ``bare`` the model runs as if nothing stood beside it."""
        super().__init__()
        self._bare = bare
        self.blueprint = blueprint
        self.model = blueprint.model
        self.held = frozenset(held)
        self.tuned = tuned
        self.still = 0
        """Layers below run as in an evaluation, also while others are trained."""
        self._device: torch.device | None = None
        layers = {name: blueprint.layers_of(name) for name, _ in self.model.named_parameters()}
        self._owners = {
            layer: {n: _owner(self.model, n) for n, places in layers.items() if layer in places}
            for layer in sorted(self.held)
        }

        side = side_of(self.model)
        if side is not None:
            # transformers builds models in training mode.
            drops = side.training
            self.model.eval()
            side.train(drops)

    @property
    def device(self) -> torch.device:
        """Where the layers are."""
        # Asked for every tensor that arrives.
        if self._device is None:
            every = (each for layer in self._owners for each in self.parameters_of(layer).values())
            self._device = next((each.device for each in every if not each.is_meta), None)
        return self._device or torch.device("cpu")

    @property
    def entry_layers(self) -> frozenset[int]:
        """Those of the held layers that take tokens from outside."""
        return self.held & frozenset(self.blueprint.anatomy.entrances)

    def parameters_of(self, layer: int) -> dict[str, nn.Parameter]:
        """The parameters of a held layer by canonical name; a tied one is in several layers."""
        return {name: getattr(*owner) for name, owner in self._owners[layer].items()}

    def tuned_of(self, layer: int) -> dict[str, nn.Parameter]:
        """Those of a held layer's parameters that are trained."""
        owners = self._owners[layer].items()
        return {name: getattr(*owner) for name, owner in owners if name in self.tuned}

    def tuned_parameters(self) -> dict[str, nn.Parameter]:
        """All trained parameters of the held layers, each once."""
        return {
            name: parameter
            for layer in self._owners
            for name, parameter in self.tuned_of(layer).items()
        }

    def tune(self, names: frozenset[str]) -> None:
        """Train only the parameters named, among those that could be."""
        self.tuned = names
        for layer in self._owners:
            for name, parameter in self.parameters_of(layer).items():
                parameter.requires_grad_(name in names)
                parameter.grad = None

    def train(self, mode: bool = True) -> "Shard":
        """Switch dropout on or off; a model beside a side network never has any."""
        super().train(mode)
        side = side_of(self.model)
        if side is not None:
            self.model.eval()
            side.train(mode)
        return self

    def forward(
        self,
        x: Activation,
        layers: range,
        entries: Mapping[int, Entry],
        seeds: Seeds | None = None,
        backbone: Backbone | None = None,
    ) -> Activation:
        """Take ``x`` through some held layers; the head leaves the logits in ``hidden``.

        ``backbone`` is asked for what the model itself makes in each layer but the head.
        """
        missing = sorted(set(layers) - self.held)
        if missing:
            raise ValueError(f"layer {missing[0]} is not held here: {sorted(self.held)} are")
        walk, source = Walk(self.blueprint, entries), backbone or computed
        side = None if self._bare else side_of(self.model)
        beside = dict[int, Context]()
        for layer in layers:
            drawn = seeds if self._drops(layer) else None
            if layer == self.blueprint.num_layers - 1:
                with _seeded(drawn, layer):
                    x = self._head(walk, x, side)
            elif side is None:
                with _seeded(drawn, layer):
                    x = _backbone(walk, layer, x, source)
            else:
                with torch.no_grad():
                    y = _backbone(walk, layer, x, source)
                with _seeded(drawn, layer):
                    x = side(layer, x, y, beside)
        return x

    def _drops(self, layer: int) -> bool:
        """Whether a layer has dropout now; beside a side network it is never the model's."""
        drops = self.training and layer >= self.still
        if side_of(self.model) is None and drops != self.model.training:
            self.model.train(drops)
        return drops

    def _head(self, walk: Walk, x: Activation, side: SideNetwork | None) -> Activation:
        if side is None:
            return walk.judged(x, walk.ended(x))
        ended = x.hidden
        if side.merges != "none":
            with torch.no_grad():
                ended = walk.ended(x._replace(hidden=x.hidden.to(self.blueprint.dtype)))
        output = side.output(x.side, ended)
        return walk.judged(x, output.to(self.blueprint.dtype))


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that has a parameter, which itself would outlive its being unloaded here."""
    module, _, own = name.rpartition(".")
    return model.get_submodule(module), own


def _backbone(walk: Walk, layer: int, x: Activation, source: Backbone) -> Activation:
    masked = walk.masked(layer, x)
    return source(layer, masked, lambda: walk.compute(layer, masked))


@contextmanager
def _seeded(seeds: Seeds | None, layer: int) -> Iterator[None]:
    if seeds is None:
        yield
        return
    with _GENERATOR:
        _start_at(seeds(layer))
        yield


def _start_at(seed: int) -> None:
    """Let random numbers on the devices in use start at ``seed``."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    # ``torch.manual_seed`` would leave the seed, with a trace of the stack, for devices that are
    # not in use; that takes longer than a narrow layer does.
    torch.default_generator.manual_seed(seed)
