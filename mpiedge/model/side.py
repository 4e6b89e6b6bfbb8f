"""Parallel adapters: a small network of the model's own family that runs beside the frozen model.

Each of its blocks takes what the block before it made and the output of the model's block of the
same layer, made narrow.  Gradients go along the small network only.  PAC (ICPP'24), section 4.1,
in the form of Ladder Side-Tuning (arXiv 2206.06522).

    A: a[i] = block(mu a[i-1] + (1 - mu) D[i] b[i]),  mu = sigmoid(alpha[i] / 0.1), alpha[i] = 0
    B: a[i] = block(a[i-1] + D[i] b[i])
    both: a[0] = D[0] b[0];  what the head sees: U norm(a[L])

With likeness, D[i] b[i] is joined by a number for each token: how like it is to another token of
its row, in b[i] (our design).

A decoder begins anew at the bridge, and its blocks look at the small encoder's normed output.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from mpiedge.model.activation import Activation
from mpiedge.model.anatomy import SIDE, row
from mpiedge.model.draw import generator
from mpiedge.model.families import FAMILIES
from mpiedge.model.family import Context, Family, Stack
from mpiedge.model.likeness import likeness
from mpiedge.model.narrow import narrowed, shared_out
from mpiedge.model.settings import AdapterSettings

TEMPERATURE = 0.1
"""What a gate's number is divided by; Ladder Side-Tuning's."""

FORMS = ("A", "B")
MERGES = ("auto", "none", "add", "gate")
_USUAL, _SPREAD = 0.75, 4.0
"""About what the likeness of a token is, and what makes its spread about one: MiniLM's, on MRPC."""

Contexts = dict[int, Context]


class SideNetwork(nn.Module):
    """The small network; its parts are numbered by the layers they belong to.

    ``merge`` says what the head sees.  With none the model's last norm is not applied at all; with
    add it is norm(b[L]) + U norm(a[L]); with gate, after QPAC, s U norm(a[L]) + (1 - s) norm(b[L])
    with s = sigmoid(z), z in [width].
    """

    def __init__(self, config: Any, family: Family, settings: AdapterSettings) -> None:
        super().__init__()
        self.backbone = narrowed(config, family, settings)
        self.merges = settings.merge
        self._rows = row(family, self.backbone)
        # What blocks share has no width, so it is the model's own: neither narrowed nor trained
        # nor counted.
        shared = tuple(f"backbone.{each}." for stack in family.stacks for each in stack.shared)
        named = (name for name, _ in self.named_parameters())
        self.copied = frozenset(name for name in named if name.startswith(shared))
        wide, small = config.hidden_size, config.hidden_size // settings.reduction
        layers = range(len(self._rows))
        blocks = [str(i) for i in layers if self._rows[i][1] is not None]
        gates = blocks if settings.form == "A" else []
        # Where the family's blocks end in a norm, one is still needed behind the last: (1) of PAC
        # has it for every model.  What follows has a bias of its own.
        ends = {str(end): stack for end, stack in _ends(self._rows) if stack.norm is None}
        self.down = nn.ModuleDict({str(i): nn.Linear(wide, small) for i in layers})
        self.gate = nn.ParameterDict({i: nn.Parameter(torch.zeros(1)) for i in gates})
        told = [str(i) for i in layers if settings.likeness]
        self.like = nn.ParameterDict({i: nn.Parameter(torch.zeros(small)) for i in told})
        self.norm = nn.ModuleDict({end: nn.LayerNorm(small, bias=False) for end in ends})
        self.up = nn.Linear(small, wide)
        weighed = {"gate": nn.Parameter(torch.zeros(wide))} if settings.merge == "gate" else {}
        self.merge = nn.ParameterDict(weighed)

    def forward(self, layer: int, x: Activation, y: Activation, contexts: Contexts) -> Activation:
        """One layer: ``x`` entered it, ``y`` is what the model made of it; ``y`` with the side."""
        stack, block = self._rows[layer]
        below = self._below(layer, y, stack.causal)
        if block is None:
            ended = self._ended(layer, x.side) if layer > 0 else y.encoded_side
            return y._replace(side=below, encoded_side=ended)
        own = y._replace(hidden=self._mixed(layer, x.side, below), encoded=y.encoded_side)
        if id(stack) not in contexts:
            # Masks, positions and T5's table of them: nothing of it is trained.
            with torch.no_grad():
                contexts[id(stack)] = stack.prepare(self.backbone, own)
        side = stack.block(self.backbone.get_submodule(block), own, contexts[id(stack)])
        return y._replace(side=side)

    def output(self, side: Tensor, ended: Tensor) -> Tensor:
        """What the head sees, from the last block's output and the model's own, normed.

        [rows, seq, width], float32; ``ended`` is not looked at where nothing is merged.
        """
        change: Tensor = self.up(self._ended(len(self._rows), side))
        if self.merges == "add":
            return ended.float() + change
        if self.merges == "gate":
            share = torch.sigmoid(self.merge["gate"])
            return share * change + (1 - share) * ended.float()
        return change

    def first_value(self, name: str, drawing: torch.Generator) -> Tensor:
        """Plain first values of a parameter, named as inside this network; float32, on the CPU.

        Matrices are drawn as torch draws a linear layer's; norms begin at one, gates and biases at
        zero, the directions of likeness at random.  Where the output is added to the model's, it
        begins at zero.
        """
        shape, (module, _, attribute) = self.get_parameter(name).shape, name.rpartition(".")
        if module in ("gate", "merge") or (module == "up" and self.merges == "add"):
            return torch.zeros(shape)
        if module == "like":
            return torch.empty(shape).normal_(0.0, 0.3, generator=drawing)
        if len(shape) < 2:
            return torch.zeros(shape) if attribute == "bias" else torch.ones(shape)
        # Conv1D keeps its weight as [in, out].
        turned = isinstance(self.get_submodule(module), Conv1D)
        value = torch.empty(shape[::-1] if turned else shape)
        nn.init.kaiming_uniform_(value, a=5**0.5, generator=drawing)
        return value.t().contiguous() if turned else value

    def _below(self, layer: int, y: Activation, causal: bool) -> Tensor:
        """What the model made of a layer, at the side network's width."""
        below: Tensor = self.down[str(layer)](y.hidden.float())
        if str(layer) not in self.like:
            return below
        alike = likeness(y.hidden, y.mask, causal)
        told: Tensor = below + _SPREAD * (alike - _USUAL) * self.like[str(layer)]
        return told

    def _mixed(self, layer: int, side: Tensor, below: Tensor) -> Tensor:
        if str(layer) not in self.gate:
            return side + below
        share = torch.sigmoid(self.gate[str(layer)] / TEMPERATURE)
        return share * side + (1 - share) * below

    def _ended(self, end: int, side: Tensor) -> Tensor:
        """Behind the stack that ends before the layer ``end``."""
        if str(end) in self.norm:
            normed: Tensor = self.norm[str(end)](side)
            return normed
        return self._rows[end - 1][0].end(self.backbone, side)


def inject_side(
    model: PreTrainedModel, settings: AdapterSettings, family: str, new_head: bool
) -> None:
    """Put a side network beside a model, as ``model.side``, and freeze all else.

    ``new_head`` is whether the head is trained too.
    """
    model.requires_grad_(False)
    settings = replace(settings, merge=chosen_merge(settings.merge, new_head))
    with torch.device("meta"):
        side = SideNetwork(model.config, FAMILIES[family], settings).float()
    for name, parameter in side.named_parameters():
        parameter.requires_grad_(name not in side.copied)
    if not next(model.parameters()).is_meta:
        _make_real(side, model)
    model.add_module(SIDE.rstrip("."), side)


def chosen_merge(merge: str, new_head: bool) -> str:
    """What ``auto`` is: a head that is not trained knows no other states than the model's own."""
    if merge != "auto":
        return merge
    return "none" if new_head else "gate"


def side_of(model: nn.Module) -> SideNetwork | None:
    """The side network of a model that has one."""
    found = dict(model.named_children()).get(SIDE.rstrip("."))
    return found if isinstance(found, SideNetwork) else None


def copies(model: nn.Module) -> frozenset[str]:
    """Those of a side network's parameters that are copies of the model's own, and stay so.

    T5's tables of relative positions are.
    """
    side = side_of(model)
    return frozenset() if side is None else frozenset(SIDE + name for name in side.copied)


def own_copy(model: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """What a parameter gets of the model's ``tensor``: the same, or what fewer heads make of it."""
    if name not in copies(model):
        return tensor
    return shared_out(tensor, model.get_parameter(name).shape[1])


def _make_real(side: SideNetwork, model: PreTrainedModel) -> None:
    """Give a side network storage where its model is, and plain first values."""
    side.to_empty(device=model.device)
    for module in side.backbone.modules():
        if list(module.buffers(recurse=False)):
            model._init_weights(module)
    with torch.no_grad():
        for name, parameter in side.named_parameters():
            if name in side.copied:
                own = model.base_model.get_parameter(name.removeprefix("backbone."))
                parameter.copy_(shared_out(own, parameter.shape[1]))
            else:
                parameter.copy_(side.first_value(name, generator(f"0:{SIDE}{name}")))


def _ends(rows: tuple[tuple[Stack, str | None], ...]) -> list[tuple[int, Stack]]:
    """Each stack, and the layer behind its last block."""
    last = {id(stack): (index + 1, stack) for index, (stack, _) in enumerate(rows)}
    return list(last.values())
