"""Small random models of every family, written to a folder as the hub would hold them.

Each comes with a tokenizer, so that whole runs work on it offline.  Every parameter is random,
norms and biases too: a cut that forgot one of them would give other logits.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from tokenizers.processors import ByteLevel, TemplateProcessing
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

FAMILIES = ("bert", "roberta", "gpt2", "llama", "t5", "bart")
VOCABULARY = 320
POSITIONS = 160
TEXT = (
    "turn on the light in the kitchen",
    "what is the weather like in the morning",
    "wake me up at seven and play some music",
    "how long does it take to drive to work",
    "a film that is good and a film that is bad",
)


class Words(NamedTuple):
    """The special tokens of a family, in the order of their numbers, and what a text becomes."""

    special: tuple[str, ...]
    roles: dict[str, str]
    single: str
    pair: str


_BART = Words(
    ("<s>", "<pad>", "</s>", "<unk>"),
    {"bos": "<s>", "cls": "<s>", "pad": "<pad>", "eos": "</s>", "sep": "</s>", "unk": "<unk>"},
    "<s> $A </s>",
    "<s> $A </s> </s> $B </s>",
)
WORDS = {
    "bert": Words(
        ("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
        {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"},
        "[CLS] $A [SEP]",
        "[CLS] $A [SEP] $B:1 [SEP]:1",
    ),
    "roberta": _BART,
    "bart": _BART,
    "gpt2": Words(
        ("<|endoftext|>",),
        {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"},
        "",
        "",
    ),
    "llama": Words(
        ("<unk>", "<s>", "</s>"),
        {"unk": "<unk>", "bos": "<s>", "eos": "</s>"},
        "<s> $A",
        "<s> $A $B",
    ),
    "t5": Words(
        ("<pad>", "</s>", "<unk>"),
        {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"},
        "$A </s>",
        "$A </s> $B </s>",
    ),
}


def _bert(blocks: int, **changes: Any) -> PreTrainedModel:
    return BertForPreTraining(_encoder(BertConfig, blocks, changes))


def _roberta(blocks: int, **changes: Any) -> PreTrainedModel:
    changes = {"type_vocab_size": 1, **changes}
    return RobertaForMaskedLM(_encoder(RobertaConfig, blocks, changes))


def _encoder(kind: type[PretrainedConfig], blocks: int, changes: dict[str, Any]) -> Any:
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    sizes = {"vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS}
    return kind(**{**shape, **sizes, "num_hidden_layers": blocks, **changes})


def _gpt2(blocks: int, **changes: Any) -> PreTrainedModel:
    shape = {"n_embd": 32, "n_head": 4, "n_positions": POSITIONS, "vocab_size": VOCABULARY}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(**{**shape, **ends, "n_layer": blocks, **changes}))


def _llama(blocks: int, **changes: Any) -> PreTrainedModel:
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    sizes = {"num_key_value_heads": 2, "vocab_size": VOCABULARY, "tie_word_embeddings": True}
    rows = {"num_hidden_layers": blocks, "max_position_embeddings": POSITIONS}
    return LlamaForCausalLM(LlamaConfig(**{**shape, **sizes, **rows, **changes}))


def _t5(blocks: int, **changes: Any) -> PreTrainedModel:
    shape = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "vocab_size": VOCABULARY}
    rows = {"num_layers": blocks, "num_decoder_layers": blocks + 1, "decoder_start_token_id": 0}
    return T5ForConditionalGeneration(T5Config(**{**shape, **rows, **changes}))


def _bart(blocks: int, **changes: Any) -> PreTrainedModel:
    shape = {"d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    rows = {"encoder_layers": blocks, "decoder_layers": blocks + 1}
    sizes = {"vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS, "num_labels": 2}
    return BartForConditionalGeneration(
        BartConfig(**{**shape, **heads, **rows, **sizes, **changes})
    )


BUILD: dict[str, Callable[..., PreTrainedModel]] = {
    "bert": _bert,
    "roberta": _roberta,
    "gpt2": _gpt2,
    "llama": _llama,
    "t5": _t5,
    "bart": _bart,
}


def tiny_model(family: str, blocks: int = 2, **changes: Any) -> PreTrainedModel:
    """A small pretraining model of a family with seeded random weights; ``changes`` to its config.

    T5 and BART get ``blocks`` encoder blocks and one more in the decoder.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(family) + blocks)
        model = BUILD[family](blocks, **changes)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape)
    return model.eval()


def tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A tokenizer with the family's special tokens that can write any text."""
    words = WORDS[family]
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=alphabet,
        special_tokens=list(words.special),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = ByteLevel()
    if words.single:
        numbers = [(token, tokenizer.token_to_id(token)) for token in words.special]
        tokenizer.post_processor = TemplateProcessing(words.single, words.pair, numbers)
    roles = {f"{role}_token": token for role, token in words.roles.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=POSITIONS - 2, **roles
    )


def save_tiny(family: str, folder: Path, blocks: int = 2, **changes: Any) -> Path:
    """Write a small random model of a family and its tokenizer into ``folder``, and return it."""
    model = tiny_model(family, blocks, **changes)
    model.save_pretrained(folder)
    tiny_tokenizer(family).save_pretrained(folder)
    return folder
