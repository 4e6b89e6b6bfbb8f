"""The layers one rank holds, run in any order of calls that follows the row.

What the blocks of a stack share (masks, rotary positions, T5's position bias) is made once a call.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from mpiedge.model.activation import Activation
from mpiedge.model.anatomy import Layer
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.family import Context, Entry

Seeds = Callable[[int], int]

# torch has one generator a process, and ranks may be threads of one: a layer that draws its
# dropout from a seed of its own has the generator to itself meanwhile.
_GENERATOR = threading.Lock()


class Shard(nn.Module):
    """Some layers of a model, the parameters in them, and which of those are trained."""

    def __init__(
        self, blueprint: Blueprint, held: Iterable[int], tuned: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self.blueprint = blueprint
        self.model = blueprint.model
        self.held = frozenset(held)
        self.tuned = tuned
        self._parameters_of = {layer: blueprint.parameters(layer) for layer in sorted(self.held)}

    @property
    def device(self) -> torch.device:
        """Where the layers are."""
        first = next(iter(self._parameters_of.values()), {})
        return next((each.device for each in first.values()), torch.device("cpu"))

    @property
    def entry_layers(self) -> frozenset[int]:
        """Those of the held layers that take tokens from outside."""
        return self.held & frozenset(self.blueprint.anatomy.entrances)

    def parameters_of(self, layer: int) -> dict[str, nn.Parameter]:
        """The parameters of a held layer by canonical name; a tied one is in several layers."""
        return self._parameters_of[layer]

    def tuned_of(self, layer: int) -> dict[str, nn.Parameter]:
        """Those of a held layer's parameters that are trained."""
        every = self._parameters_of[layer].items()
        return {name: parameter for name, parameter in every if name in self.tuned}

    def tuned_parameters(self) -> dict[str, nn.Parameter]:
        """All trained parameters of the held layers, each once."""
        return {
            name: parameter
            for layer in self._parameters_of
            for name, parameter in self.tuned_of(layer).items()
        }

    def forward(
        self,
        x: Activation,
        layers: range,
        entries: Mapping[int, Entry],
        seeds: Seeds | None = None,
    ) -> Activation:
        """Take ``x`` through some held layers; the head leaves the logits in ``hidden``."""
        contexts: dict[int, Context] = {}
        for index in layers:
            if index not in self.held:
                raise ValueError(f"layer {index} is not held here: {sorted(self.held)} are")
            with _seeded(seeds, index) if seeds is not None and self.training else _unseeded():
                x = self._run(index, x, entries.get(index, ()), contexts)
        return x

    def _run(
        self, index: int, x: Activation, entry: Entry, contexts: dict[int, Context]
    ) -> Activation:
        layer: Layer = self.blueprint.anatomy.layers[index]
        if layer.stack is None:
            return x._replace(hidden=self.blueprint.head.logits(self.model, x))
        if layer.block is None:
            return layer.stack.enter(self.model.base_model, x, entry)
        if id(layer.stack) not in contexts:
            contexts[id(layer.stack)] = layer.stack.prepare(self.model.base_model, x)
        block = self.model.get_submodule(layer.block)
        return x._replace(hidden=layer.stack.block(block, x, contexts[id(layer.stack)]))


@contextmanager
def _seeded(seeds: Seeds, layer: int) -> Iterator[None]:
    with _GENERATOR:
        torch.manual_seed(seeds(layer))
        yield


@contextmanager
def _unseeded() -> Iterator[None]:
    yield
