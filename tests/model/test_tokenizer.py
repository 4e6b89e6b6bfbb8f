"""The tokenizer that comes with a model can pad, and one that is missing is noticed."""

import json
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.model.tokenizer import open_target_tokenizer, open_tokenizer
from tests.models import FAMILIES, WORDS, save_tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_tokenizer_pads_and_reads_back(tmp_path: Path, family: str) -> None:
    tokenizer = open_tokenizer(str(save_tiny(family, tmp_path)))
    rows = tokenizer(["turn on the light", "é"], padding=True)
    assert len({len(row) for row in rows["input_ids"]}) == 1
    assert rows["attention_mask"][1][-1] == 0
    text = tokenizer.decode(rows["input_ids"][0], skip_special_tokens=True)
    assert text.strip() == "turn on the light"
    assert open_target_tokenizer(str(tmp_path)) is None


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_without_a_padding_token_the_end_stands_in(tmp_path: Path, family: str) -> None:
    tokenizer = open_tokenizer(str(save_tiny(family, tmp_path)))
    assert "pad" not in WORDS[family].roles
    assert tokenizer.pad_token == tokenizer.eos_token


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_without_a_tokenizer(tmp_path: Path, family: str) -> None:
    folder = save_tiny(family, tmp_path)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(BadInput, match="; copy the model with its tokenizer.json"):
        open_tokenizer(str(folder))


def test_a_damaged_config(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(BadInput, match="config.json of .* is damaged"):
        open_tokenizer(str(folder))


def test_alphabets_in_the_config(tmp_path: Path) -> None:
    config = {"model_type": "bart", "grapheme_chars": "____'ab", "phoneme_chars": "____ɑb"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    source, target = open_tokenizer(str(tmp_path)), open_target_tokenizer(str(tmp_path))
    assert source("ba'z")["input_ids"] == [1, 6, 5, 4, 3, 2]
    assert target("bɑ")["input_ids"] == [1, 5, 4, 2]
    assert target.decode([1, 5, 4, 5, 2], skip_special_tokens=True) == "bɑb"
    rows = source(["b", "abba"], padding=True)
    assert rows["input_ids"] == [[1, 6, 2, 0, 0, 0], [1, 5, 6, 6, 5, 2]]
    assert rows["attention_mask"][0] == [1, 1, 1, 0, 0, 0]
