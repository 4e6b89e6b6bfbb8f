"""A tokenizer of single characters, for models whose config.json lists their alphabets.

Models from letters to phonemes come so (Misaki's BART does): a character's number is its place in
``grapheme_chars`` on the input's side and in ``phoneme_chars`` on the output's.  The first four
places are taken by padding, start, end and unknown.
"""

from collections.abc import Mapping
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

INPUT, OUTPUT = "grapheme_chars", "phoneme_chars"
_SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")


def letters(config: Mapping[str, Any], side: str) -> Any:
    """The tokenizer of one side, or None where the config lists no alphabet for it."""
    alphabet = config.get(side)
    if not isinstance(alphabet, str):
        return None
    numbers = {character: i for i, character in enumerate(alphabet) if i >= len(_SPECIAL)}
    numbers |= {token: i for i, token in enumerate(_SPECIAL)}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> $B </s>", [("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )
