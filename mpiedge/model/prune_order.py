"""In which order pruning walks through the weights of each family, and which of them go together.

A family is one row here, as it is in ``site``: names of modules, of a block or of the backbone.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mpiedge.model.blueprint import Blueprint


class Norm(NamedTuple):
    """A norm: it keeps the entries of what passes through it."""

    name: str


class Attention(NamedTuple):
    """Queries, keys and values, which keep the same rows of each head, and the projection out."""

    inside: tuple[str, ...]  # three layers, or the one that holds all three
    outside: str
    crossed: bool = False  # keys and values read the encoder's output


class Feed(NamedTuple):
    """The layers into the wide space, which keep the same rows, and the one back."""

    inside: tuple[str, ...]  # a block has some of them
    outside: str


Step = Norm | Attention | Feed


class Order(NamedTuple):
    """One family's order."""

    embedding: str  # the table whose columns are what enters the first block
    blocks: tuple[tuple[Step, ...], ...]  # of each stack
    copied: tuple[str, ...] = ()  # of a block: tables with a number for each head, and no width
    transposed: bool = False  # weights are [in, out], GPT-2's Conv1D
    heads: tuple[Callable[[Any], int], ...] = (lambda config: int(config.num_attention_heads),) * 2


def _attention(name: str, letters: tuple[str, ...], out: str, crossed: bool = False) -> Attention:
    return Attention(tuple(f"{name}.{each}" for each in letters), f"{name}.{out}", crossed)


_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
_BERT = Order(
    "embeddings.word_embeddings",
    (
        (
            Attention(
                ("attention.self.query", "attention.self.key", "attention.self.value"),
                "attention.output.dense",
            ),
            Norm("attention.output.LayerNorm"),
            Feed(("intermediate.dense",), "output.dense"),
            Norm("output.LayerNorm"),
        ),
    ),
)
_GPT2 = Order(
    "wte",
    (
        (
            Norm("ln_1"),
            Attention(("attn.c_attn",), "attn.c_proj"),
            Norm("ln_2"),
            Feed(("mlp.c_fc",), "mlp.c_proj"),
        ),
    ),
    transposed=True,
)
_LLAMA = Order(
    "embed_tokens",
    (
        (
            Norm("input_layernorm"),
            _attention("self_attn", _PROJECTIONS, "o_proj"),
            Norm("post_attention_layernorm"),
            Feed(("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj"),
        ),
    ),
)


def _t5_feed(place: int) -> tuple[Step, ...]:
    inside = ("wi", "wi_0", "wi_1")
    part = f"layer.{place}.DenseReluDense"
    feed = Feed(tuple(f"{part}.{each}" for each in inside), f"{part}.wo")
    return (Norm(f"layer.{place}.layer_norm"), feed)


_T5_SELF: tuple[Step, ...] = (
    Norm("layer.0.layer_norm"),
    _attention("layer.0.SelfAttention", ("q", "k", "v"), "o"),
)
_T5_CROSS: tuple[Step, ...] = (
    Norm("layer.1.layer_norm"),
    _attention("layer.1.EncDecAttention", ("q", "k", "v"), "o", crossed=True),
)
_T5 = Order(
    "shared",
    ((*_T5_SELF, *_t5_feed(1)), (*_T5_SELF, *_T5_CROSS, *_t5_feed(2))),
    copied=("layer.0.SelfAttention.relative_attention_bias.weight",),
)
_BART_SELF: tuple[Step, ...] = (
    _attention("self_attn", _PROJECTIONS, "out_proj"),
    Norm("self_attn_layer_norm"),
)
_BART_CROSS: tuple[Step, ...] = (
    _attention("encoder_attn", _PROJECTIONS, "out_proj", crossed=True),
    Norm("encoder_attn_layer_norm"),
)
_BART_FEED: tuple[Step, ...] = (Feed(("fc1",), "fc2"), Norm("final_layer_norm"))
_BART = Order(
    "shared",
    ((*_BART_SELF, *_BART_FEED), (*_BART_SELF, *_BART_CROSS, *_BART_FEED)),
    heads=(
        lambda config: int(config.encoder_attention_heads),
        lambda config: int(config.decoder_attention_heads),
    ),
)
ORDERS = {"bert": _BERT, "roberta": _BERT, "gpt2": _GPT2, "llama": _LLAMA, "t5": _T5, "bart": _BART}


class Block(NamedTuple):
    """One block of the backbone and what is done in it; names are the whole model's."""

    stack: int
    path: str
    steps: tuple[Step, ...]  # with names inside the block
    norm: str | None  # behind the stack's last block, with which it comes
    copied: tuple[str, ...]
    heads: int


def blocks_of(blueprint: Blueprint) -> Iterator[Block]:
    """The blocks of a model from the first to the last."""
    order, anatomy = ORDERS[blueprint.family.name], blueprint.anatomy
    for number, stack in enumerate(blueprint.family.stacks):
        paths = [each.block for each in anatomy.layers if each.stack is stack]
        blocks = [path for path in paths if path is not None]
        heads = order.heads[number](blueprint.config)
        for path in blocks:
            last = stack.norm is not None and path == blocks[-1]
            yield Block(
                stack=number,
                path=path,
                steps=order.blocks[number],
                norm=f"{anatomy.prefix}{stack.norm}" if last else None,
                copied=tuple(f"{path}.{name}" for name in order.copied),
                heads=heads,
            )


def embedding_of(blueprint: Blueprint) -> str:
    """The table of token embeddings, in the whole model."""
    return blueprint.anatomy.prefix + ORDERS[blueprint.family.name].embedding


def scored(blueprint: Blueprint) -> Iterator[str]:
    """The weights whose importance pruning asks for; a model may lack some of them."""
    yield f"{embedding_of(blueprint)}.weight"
    for block in blocks_of(blueprint):
        for step in block.steps:
            names = () if isinstance(step, Norm) else (*step.inside, step.outside)
            yield from (f"{block.path}.{name}.weight" for name in names)
