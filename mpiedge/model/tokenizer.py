"""The tokenizers that come with a model."""

from typing import Any

from transformers import AutoTokenizer, PreTrainedConfig

from mpiedge.errors import BadInput
from mpiedge.model.letters import INPUT, OUTPUT, letters
from mpiedge.model.source import Source, find_source


def open_tokenizer(name: str) -> Any:
    """The tokenizer of the model called ``name``; one without a padding token pads with its end."""
    source = find_source(name)
    tokenizer = letters(_config(source), INPUT) or _pretrained(source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def open_target_tokenizer(name: str) -> Any:
    """The tokenizer of what the model writes; None where it writes as it reads."""
    return letters(_config(find_source(name)), OUTPUT)


def _config(source: Source) -> dict[str, Any]:
    if source.gguf:
        return {}
    path = source.require("config.json")
    try:
        config: dict[str, Any] = PreTrainedConfig.get_config_dict(path)[0]
    except OSError as error:
        raise BadInput(
            f"model.name: the config.json of {source.name} is damaged; copy the model anew"
        ) from error
    return config


def _pretrained(source: Source) -> Any:
    gguf = {"gguf_file": source.gguf} if source.gguf else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.place, use_fast=True, **gguf)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise BadInput(
            f"model.name: {source.name} has no usable tokenizer ({reason}); "
            "copy the model with its tokenizer.json"
        ) from error
    # For a folder without any tokenizer's files transformers makes one that knows no words.
    if len(tokenizer) - len(tokenizer.get_added_vocab()) < 2:
        raise BadInput(
            f"model.name: {source.name} has no tokenizer; copy the model with its tokenizer.json"
        )
    return tokenizer
