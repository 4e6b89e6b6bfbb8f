"""Models to cut, inputs for them, and the whole model's own answer to compare with."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from mpiedge.model.activation import Activation, entrance
from mpiedge.model.blueprint import Blueprint, open_model
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import ModelSettings
from mpiedge.model.shard import Shard

LABELS = {Purpose.CLASSIFICATION: 3, Purpose.REGRESSION: 1}
LOADERS = {Purpose.LANGUAGE: AutoModelForCausalLM, Purpose.SEQ2SEQ: AutoModelForSeq2SeqLM}
PADDING = {"bert": 0, "roberta": 1, "gpt2": 0, "llama": 0, "t5": 0, "bart": 1}
END = {"t5": 1, "bart": 2}  # where transformers reads a row's class from


class Batch(NamedTuple):
    """Rows of unequal length."""

    tokens: Tensor
    mask: Tensor
    decoder_tokens: Tensor


def batch(family: str, lengths: Iterable[int] = (7, 4, 9), left: bool = False) -> Batch:
    """Random rows, padded on either side, each with the family's end token where it has one."""
    lengths = list(lengths)
    draw = torch.Generator().manual_seed(1)
    seq = max(lengths)
    tokens = torch.full((len(lengths), seq), PADDING[family])
    mask = torch.zeros_like(tokens)
    for row, length in enumerate(lengths):
        real = slice(seq - length, seq) if left else slice(0, length)
        tokens[row, real] = torch.randint(10, 300, (length,), generator=draw)
        mask[row, real] = 1
        if family in END:
            tokens[row, seq - 1 if left else length - 1] = END[family]
    return Batch(tokens, mask, torch.randint(10, 300, (len(lengths), 5), generator=draw))


def opened(folder: Path | str, purpose: Purpose, dtype: str = "float32") -> Blueprint:
    settings = ModelSettings(name=str(folder), dtype=dtype)
    return open_model(settings, purpose, LABELS.get(purpose, 0))


def loaded(folder: Path | str, purpose: Purpose, layers: Iterable[int] | None = None) -> Shard:
    """Some layers of a model of its own, all of them if not said which; for evaluation."""
    blueprint = opened(folder, purpose)
    return load(blueprint, range(blueprint.num_layers) if layers is None else layers).eval()


def entries(shard: Shard, given: Batch, purpose: Purpose) -> Mapping[int, tuple[Tensor, ...]]:
    """Tokens for layer 0, and for the bridge, which gets the row itself to classify it."""
    rows: dict[int, tuple[Tensor, ...]] = {0: (given.tokens, torch.zeros_like(given.tokens))}
    bridge = shard.blueprint.bridge
    if bridge is not None:
        whole = purpose is not Purpose.SEQ2SEQ
        rows[bridge] = (late(shard.blueprint, given) if whole else given.decoder_tokens,)
    return rows


def late(blueprint: Blueprint, given: Batch) -> Tensor:
    start = torch.full((len(given.tokens), 1), blueprint.decoder_start)
    return torch.cat([start, given.tokens[:, :-1]], dim=1)


def run(shards: Iterable[tuple[Shard, range]], given: Batch, purpose: Purpose) -> Activation:
    """Take a batch through runs of layers, one shard after the other."""
    x = entrance(given.mask)
    with torch.no_grad():
        for shard, layers in shards:
            x = shard(x, layers, entries(shard, given, purpose))
    return x


def reference(folder: Path | str, purpose: Purpose, head: Shard) -> Any:
    """The model as transformers loads it, with the new head's values taken from a shard."""
    loader = LOADERS.get(purpose, AutoModelForSequenceClassification)
    labels = {"num_labels": LABELS[purpose]} if purpose in LABELS else {}
    model = loader.from_pretrained(folder, **labels)
    family = head.blueprint.family.name
    if family in ("gpt2", "llama"):
        model.config.pad_token_id = PADDING[family]
    for name, parameter in head.parameters_of(head.blueprint.num_layers - 1).items():
        if name.startswith(head.blueprint.head_names):
            model.get_parameter(name).data.copy_(parameter)
    return model.eval()


def answer(model: Any, given: Batch, purpose: Purpose, **more: Tensor) -> Tensor:
    """The transformers model's logits; T5 and BART make the decoder's tokens for a class."""
    if purpose is Purpose.SEQ2SEQ:
        more["decoder_input_ids"] = given.decoder_tokens
    with torch.no_grad():
        logits: Tensor = model(given.tokens, attention_mask=given.mask, **more).logits
    return logits
