"""A run's result as a folder for transformers: the same answers, labels, tokenizer, card."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)

import mpiedge
from mpiedge.__main__ import main
from mpiedge.errors import BadInput
from mpiedge.run.exporting import export
from tests.models import save_tiny
from tests.runs import run, settings, write_requests

CLASSES = {
    "classification": AutoModelForSequenceClassification,
    "language": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
}
JOBS = [
    ("bert", "classification"),
    ("gpt2", "classification"),
    ("gpt2", "language"),
    ("llama", "language"),
    ("t5", "seq2seq"),
    ("bart", "seq2seq"),
]


def trained(folder: Path, family: str, task: str, adapter: dict[str, object]) -> Path:
    model = save_tiny(family, folder / family, blocks=1)
    data = write_requests(folder / "requests", rows=24)
    about: dict[str, object] = {"name": task}
    if task == "seq2seq":
        about |= {"text": ["text"], "label": "label"}
    given = settings(model, data, task=about, adapter=adapter, training={"learning_rate": 0.05})
    run(given, 1, folder / "out")
    return folder / "out"


def answers(model: PreTrainedModel, place: Path) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(place)
    rows = tokenizer(["turn on the light", "play some music"], return_tensors="pt", padding=True)
    asked = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
    if model.config.is_encoder_decoder:
        asked["decoder_input_ids"] = rows["input_ids"]
    with torch.no_grad():
        logits: torch.Tensor = model(**asked).logits
    return logits[asked["attention_mask"] == 1] if logits.dim() == 3 else logits


@pytest.mark.parametrize(("family", "task"), JOBS)
def test_transformers_alone_answers_as_mpiedge_does(family: str, task: str, tmp_path: Path) -> None:
    folder = trained(tmp_path, family, task, {"kind": "lora", "r": 4})
    place = export(folder, tmp_path / "model")
    merged = CLASSES[task].from_pretrained(place)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    base = tmp_path / family
    expected = answers(mpiedge.load(base, folder / "adapter"), place)
    assert torch.allclose(answers(merged, place), expected, rtol=1e-5, atol=1e-5)
    plain = CLASSES[task].from_pretrained(base)
    if task != "classification":  # whose head is new
        assert not torch.allclose(answers(plain, place), expected, rtol=1e-3, atol=1e-3)


def test_labels_and_a_card_come_along(tmp_path: Path) -> None:
    folder = trained(tmp_path, "bert", "classification", {"kind": "lora"})
    place = export(folder, tmp_path / "model")
    config = AutoModelForSequenceClassification.from_pretrained(place).config
    assert len(config.id2label) == config.num_labels > 1
    assert not any(name.startswith("LABEL_") for name in config.id2label.values())
    assert config.label2id == {name: number for number, name in config.id2label.items()}
    text = (place / "README.md").read_text(encoding="utf-8")
    assert 'base_model: "bert"' in text
    assert str(tmp_path) not in text
    assert "LoRA, r = 4, merged" in text
    assert all(name in text for name in config.id2label.values())


def test_all_weights_tuned_are_exported_as_they_are(tmp_path: Path) -> None:
    folder = trained(tmp_path, "roberta", "classification", {"kind": "full"})
    place = export(folder, tmp_path / "model")
    merged = AutoModelForSequenceClassification.from_pretrained(place)
    expected = answers(mpiedge.load(tmp_path / "roberta", folder / "adapter"), place)
    assert torch.equal(answers(merged, place), expected)
    assert "all weights" in (place / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["bottleneck", "parallel"])
def test_what_cannot_be_merged_is_refused_with_another_way(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(tmp_path, "bert", "classification", {"kind": kind})
    capsys.readouterr()
    assert main(["export", str(folder), str(tmp_path / "model")]) == 2
    said = capsys.readouterr().err.strip()
    assert f"adapter.kind {kind} cannot be merged" in said
    assert "mpiedge.load(" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "model").exists()


def test_the_command_and_what_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, place = trained(tmp_path, "bert", "classification", {"kind": "lora"}), tmp_path / "new"
    (tmp_path / "bert").rename(tmp_path / "elsewhere")
    words = ["export", str(folder), str(place)]
    assert main(words) == 2
    assert str(tmp_path / "bert") in capsys.readouterr().err
    assert main([*words, "--model", str(tmp_path / "elsewhere")]) == 0
    assert "from_pretrained" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir() if "partial" in path.name) == []
    with pytest.raises(BadInput, match="is there already"):
        export(folder, place)
    with pytest.raises(BadInput, match=r"no run\.toml"):
        export(place, tmp_path / "other")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot write to"):
        export(folder, tmp_path / "file" / "model", base=str(tmp_path / "elsewhere"))


def test_an_adapter_brings_its_tokenizer(tmp_path: Path) -> None:
    folder = trained(tmp_path, "bert", "classification", {"kind": "parallel"})
    given = AutoTokenizer.from_pretrained(tmp_path / "bert")
    saved = AutoTokenizer.from_pretrained(folder / "adapter")
    assert saved("turn on the light")["input_ids"] == given("turn on the light")["input_ids"]
