"""A model before any of its weights are read: what its layers are, and what each weighs.

The whole model is built on torch's meta device, where tensors have shapes but no storage, so every
rank can know the whole model at no cost, put adapters into it, and then load only its own layers.
"""

import copy
import json
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from mpiedge.errors import BadInput
from mpiedge.model.anatomy import Anatomy, dissect
from mpiedge.model.block_codec import size
from mpiedge.model.building import one_at_a_time
from mpiedge.model.families import family_of, head_of
from mpiedge.model.family import Family, Head
from mpiedge.model.gguf import gguf_config
from mpiedge.model.purpose import Purpose
from mpiedge.model.quantize import NONE, check_known, format_of
from mpiedge.model.settings import ModelSettings
from mpiedge.model.source import Source, find_source

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BUILD = {
    Purpose.CLASSIFICATION: AutoModelForSequenceClassification,
    Purpose.REGRESSION: AutoModelForSequenceClassification,
    Purpose.LANGUAGE: AutoModelForCausalLM,
    Purpose.SEQ2SEQ: AutoModelForSeq2SeqLM,
}


@dataclass(frozen=True)
class Found:
    """A model of which only the configuration was read."""

    source: Source
    config: Any  # transformers' configuration
    family: Family
    dtype: torch.dtype  # of the frozen weights
    quantize: str  # in how many bits those of linear layers are held, as model.quantize

    @property
    def decoder_start(self) -> int | None:
        """The token that a decoder apart is given first; None where there is none apart."""
        return _decoder_start(self.family, self.config)


@dataclass(frozen=True)
class Blueprint:
    """A model as a row of layers: 0 the embedding, then the blocks, then the head."""

    source: Source
    family: Family
    head: Head
    model: Any  # transformers' model: on the meta device but for the layers that were loaded
    anatomy: Anatomy
    dtype: torch.dtype  # of the frozen weights
    quantize: str = NONE  # in how many bits those of linear layers are held, as model.quantize

    @property
    def config(self) -> Any:
        """The transformers configuration."""
        return self.model.config

    @property
    def num_layers(self) -> int:
        """How many layers there are, embedding and head included."""
        return len(self.anatomy.layers)

    @property
    def bridge(self) -> int | None:
        """The layer that takes the decoder's tokens, in a model with a decoder apart."""
        return self.anatomy.entrances[1] if len(self.anatomy.entrances) > 1 else None

    @property
    def head_names(self) -> tuple[str, ...]:
        """The modules of the head that are trained beside adapters."""
        return self.head.trained

    @property
    def decoder_start(self) -> int | None:
        """The token that a decoder apart is given first; None where there is none apart."""
        return _decoder_start(self.family, self.config)

    @property
    def longest(self) -> int | None:
        """How many tokens a row can have; None where there is no such limit."""
        return self.family.longest(self.config)

    def layers_of(self, name: str) -> tuple[int, ...]:
        """The layers in which a parameter occurs: several for a tied one."""
        return self.anatomy.layers_of(name)

    def parameters(self, layer: int) -> dict[str, nn.Parameter]:
        """The parameters of a layer by canonical name."""
        every = self.model.named_parameters()
        return {name: each for name, each in every if layer in self.layers_of(name)}

    def weight_bytes(self, layer: int) -> int:
        """How much memory the layer's weights take."""
        return sum(self._bytes(name, each) for name, each in self.parameters(layer).items())

    def _bytes(self, name: str, parameter: nn.Parameter) -> int:
        form = format_of(self.quantize, self.model, self.anatomy, name)
        if form is None:
            return parameter.numel() * self.dtype.itemsize
        return size(parameter.shape, form)


def open_model(settings: ModelSettings, purpose: Purpose, num_labels: int) -> Blueprint:
    """Find a model and build it without its weights, with a head for the purpose."""
    return build_model(find_model(settings), purpose, num_labels)


def find_model(settings: ModelSettings) -> Found:
    """Find a model and read what it is."""
    check_known(settings.quantize)
    source = find_source(settings.name)
    config = gguf_config(source) if source.gguf else _read_config(source)
    family = family_of(config.model_type, source.name)
    if len(family.stacks) > 1 and config.to_dict().get("decoder_start_token_id") is None:
        raise BadInput(
            f"model.name: {source.name} does not say which token its decoder starts with; "
            "add decoder_start_token_id to its config.json"
        )
    return Found(source, config, family, DTYPES[settings.dtype], settings.quantize)


@one_at_a_time
def build_model(found: Found, purpose: Purpose, num_labels: int) -> Blueprint:
    """Build a model without its weights, with a head for the purpose."""
    head, config = head_of(found.family, purpose), copy.deepcopy(found.config)
    if not purpose.generates:
        config.num_labels = num_labels
    # Built in float32 whatever the checkpoint is in: loading decides the type of each weight.
    config.dtype = torch.float32
    with torch.device("meta"):
        model = _BUILD[purpose].from_config(config)
    anatomy = dissect(found.family, head, model)
    return Blueprint(found.source, found.family, head, model, anatomy, found.dtype, found.quantize)


def _decoder_start(family: Family, config: Any) -> int | None:
    return int(config.decoder_start_token_id) if len(family.stacks) > 1 else None


def _read_config(source: Source) -> Any:
    path = source.require("config.json")
    try:
        model_type = json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"model.name: the config.json of {source.name} is damaged or does not give a "
            "model_type; copy the model anew"
        ) from error
    family_of(model_type, source.name)
    try:
        return AutoConfig.from_pretrained(path)
    except (StrictDataclassError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"model.name: the config.json of {source.name} cannot be used ({reason}); "
            "copy the model anew"
        ) from error
