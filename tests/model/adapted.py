"""Models and inputs that the tests of adapters share."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.families import FAMILIES
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings

LABELLED = (Purpose.CLASSIFICATION, Purpose.REGRESSION)
PURPOSES = {
    "bert": LABELLED,
    "roberta": LABELLED,
    "gpt2": (*LABELLED, Purpose.LANGUAGE),
    "llama": (*LABELLED, Purpose.LANGUAGE),
    "t5": (*LABELLED, Purpose.SEQ2SEQ),
    "bart": (*LABELLED, Purpose.SEQ2SEQ),
}
EVERY = [(family, purpose) for family, purposes in PURPOSES.items() for purpose in purposes]
LABELS = {Purpose.CLASSIFICATION: {"num_labels": 3}, Purpose.REGRESSION: {"num_labels": 1}}
LOADERS = {Purpose.LANGUAGE: AutoModelForCausalLM, Purpose.SEQ2SEQ: AutoModelForSeq2SeqLM}


def heads_of(family: str, purpose: Purpose) -> tuple[str, ...]:
    """What is trained whole."""
    heads = FAMILIES[family].heads
    return heads[purpose].trained if purpose in heads else ()


def plain(folder: Path, purpose: Purpose, seed: int = 0, **more: object) -> PreTrainedModel:
    """The model as anyone loads it with transformers, its new head drawn from a seed."""
    loader = LOADERS.get(purpose, AutoModelForSequenceClassification)
    pad = 0 if "gpt2" in folder.name or "llama" in folder.name else None
    padding = {} if pad is None else {"pad_token_id": pad}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return loader.from_pretrained(folder, **LABELS.get(purpose, {}), **padding, **more).eval()


def inputs(family: str, purpose: Purpose) -> dict[str, Tensor]:
    """Two rows of tokens, each ending as the family's sentences do."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(10, 300, (2, 7), generator=draw)
    tokens[:, -1] = {"t5": 1, "bart": 2}.get(family, 5)
    given = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    if purpose is Purpose.SEQ2SEQ:
        given["decoder_input_ids"] = torch.randint(10, 300, (2, 5), generator=draw)
    return given


def logits(model: torch.nn.Module, family: str, purpose: Purpose) -> Tensor:
    with torch.no_grad():
        return model(**inputs(family, purpose)).logits


def adapt(
    model: PreTrainedModel, settings: AdapterSettings, family: str, purpose: Purpose
) -> dict[str, torch.nn.Parameter]:
    """Inject, and what is then trained, by name."""
    heads = heads_of(family, purpose)
    inject(model, settings, family, heads)
    names = tuned_names(model, settings, heads)
    return {name: each for name, each in model.named_parameters() if name in names}


def disturb(tuned: Mapping[str, torch.nn.Parameter]) -> None:
    """Move every trained parameter, as training would."""
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in tuned.values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
