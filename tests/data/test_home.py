"""The data set of the quickstart: generated anew it is what lies in the folder, and it is fair."""

import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

DATA = Path(__file__).parents[2] / "data"
SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_home", DATA / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(split: str) -> list[list[str]]:
    lines = (DATA / "home" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


def sayable(template: str, words: dict[str, tuple[str, ...]]) -> str:
    """A pattern for all that a template can say."""
    while found := re.search(r"\{(\w+)\}", template):
        choices = f"({'|'.join(words[found[1]])})"
        template = template[: found.start()] + choices + template[found.end() :]
    return template.replace(" ", " *")


def test_generated_anew_it_is_byte_for_byte_the_same(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate.py", str(tmp_path)])
    generator.main()
    for split in SPLITS:
        kept = (DATA / "home" / f"{split}.tsv").read_bytes()
        assert (tmp_path / f"{split}.tsv").read_bytes() == kept


def test_every_intent_is_as_frequent_as_any_other() -> None:
    for split, count in (("train", 144), ("validation", 30)):
        counts = Counter(label for _, label in rows(split))
        assert len(counts) == 21
        assert set(counts.values()) == {count}


def test_no_sentence_comes_twice_or_in_both_splits() -> None:
    texts = [text for split in SPLITS for text, _ in rows(split)]
    assert len(set(texts)) == len(texts) == 3024 + 630


def test_no_phrasing_is_in_both_splits(generator: ModuleType) -> None:
    seen, unseen = ({s.template for s in generator.generate(split)} for split in SPLITS)
    assert not seen & unseen
    assert len(seen) > 330
    assert len(unseen) > 190


def test_no_validation_sentence_could_be_said_by_the_training_grammar(
    generator: ModuleType,
) -> None:
    words = generator.read_sections(DATA / "grammar" / "words.txt")
    grammar = generator.read_sections(DATA / "grammar" / "train.txt")
    patterns = [
        re.compile(sayable(phrase.template, words))
        for section in grammar.values()
        for phrase in generator.phrases(section)
    ]
    # The patterns are right: they know what they made themselves.
    known = [s.core for s in generator.generate("train")[:100]]
    assert all(any(p.fullmatch(core) for p in patterns) for core in known)
    unseen = {s.core for s in generator.generate("validation")}
    said = [core for core in unseen if any(p.fullmatch(core) for p in patterns)]
    assert said == []


def test_sentences_are_spoken_style() -> None:
    for split in SPLITS:
        for text, _ in rows(split):
            assert re.fullmatch(r"[a-z'\- ]+", text), text
            assert text == " ".join(text.split())
            assert 1 <= len(text.split()) <= 24


def test_every_word_class_is_used_and_known(generator: ModuleType) -> None:
    words = generator.read_sections(DATA / "grammar" / "words.txt")
    used: set[str] = set()
    for name in ("words.txt", "train.txt", "unseen.txt"):
        text = "\n".join(
            line
            for section in generator.read_sections(DATA / "grammar" / name).values()
            for line in section
        )
        used |= set(re.findall(r"\{(\w+)\}", text))
    assert used == set(words)


def test_a_slip_changes_one_place(generator: ModuleType) -> None:
    import random

    text = "turn on the light in the kitchen"
    slips = {generator.slipped(text, random.Random(i)) for i in range(200)}
    assert "turn on the lite in the kitchen" in slips
    assert "turn on light in the kitchen" in slips
    assert "turn on the the light in the kitchen" in slips
    assert all(abs(len(slip.split()) - 7) <= 1 for slip in slips)
    assert generator.slipped("hm", random.Random(0)) == "hm"
