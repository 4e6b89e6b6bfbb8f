"""How the models of one architecture are cut into a row of layers, as a value.

A family is names of modules and small functions on them; whatever cuts, loads or runs layers
reads those and knows no architecture.  Names are those inside the backbone (the transformers model
without its head), but for ``Head``, whose names are the whole model's.

    0         1 .. L      L+1         L+2 .. L+1+D      last
    entrance  blocks     (entrance    blocks)           finish, head
    stack 0              stack 1: a decoder's
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from mpiedge.model.activation import Activation
from mpiedge.model.purpose import Purpose

Entry = tuple[Tensor, ...]


class Context(NamedTuple):
    """What every block of a stack needs beside the hidden states, made once for all of them."""

    mask: Tensor | None  # None: every token may see every token it should, and torch knows which
    cross: Tensor | None = None  # the mask over the encoder's output
    positions: Any = None  # rotary embeddings, or a position bias


def unchanged(_: Any, hidden: Tensor) -> Tensor:
    """The end of a stack whose blocks end in a norm already."""
    return hidden


@dataclass(frozen=True)
class Stack:
    """A row of blocks, and the layer before them, which takes tokens from outside."""

    entrance: tuple[str, ...]  # the modules of that layer
    blocks: str  # the list of blocks
    enter: Callable[[Any, Activation, Entry], Activation]  # backbone, what came, tokens
    prepare: Callable[[Any, Activation], Context]  # backbone, what enters the first block
    block: Callable[[Any, Activation, Context], Tensor]  # a block; gives the new hidden states
    causal: bool = False  # a token sees only those before it
    shared: tuple[str, ...] = ()  # modules that ``prepare`` reads, so every block's rank has them
    norm: str | None = None  # the module behind the last block
    end: Callable[[Any, Tensor], Tensor] = unchanged  # backbone, what left the last block


@dataclass(frozen=True)
class Head:
    """The end of a model for one purpose."""

    modules: tuple[str, ...]
    logits: Callable[[Any, Activation], Tensor]  # the whole model, what the last stack ended in
    trained: tuple[str, ...] = ()  # modules trained beside adapters; a checkpoint may lack them


class Widths(NamedTuple):
    """What a side network has a fraction of."""

    settings: Mapping[str, int]  # the widths among a configuration's settings
    heads: Mapping[str, int]  # how many heads of attention, likewise; the queries' first
    head: int  # the width of one
    head_name: str | None = None  # the setting that says so, where there is one
    rotary: bool = False  # a head is turned in pairs, so its width is even


@dataclass(frozen=True)
class Family:
    """The architecture ``name``, transformers' ``model_type``."""

    name: str
    stacks: tuple[Stack, ...]
    finish: tuple[str, ...]  # what of the backbone belongs to the last layer
    heads: Mapping[Purpose, Head]
    spread: Callable[[Any], float]  # config -> standard deviation of a new head's weights
    longest: Callable[[Any], int | None]  # config -> how many tokens it has positions for
    widths: Callable[[Any], Widths]  # config -> what a side network divides
    dropouts: tuple[str, ...]  # a configuration's settings that are probabilities of dropout
    optional: tuple[str, ...] = ()  # modules and tensors that a checkpoint may lack
    pooling: tuple[str, ...] = ()  # pretrained modules of the head: trained beside a side network
    float32: tuple[str, ...] = ()  # parts of names of weights that overflow in float16
