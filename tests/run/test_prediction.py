"""A trained model used on new texts, and checked against plain transformers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.run.prediction import Answer, Text, predict
from mpiedge.run.reopening import reopen, settings_of
from tests.models import POSITIONS, save_tiny
from tests.runs import Finished, run, settings

# PEFT asks transformers in a way that transformers no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

TEXTS: list[Text] = [(f"{verb} the light",) for verb in ("turn on", "dim", "open", "what about")]
TEXTS += [("turn off the old radio please now",)]


def answers(folder: Path, ranks: int, texts: list[Text], most: int = 12) -> list[Answer]:
    """What rank 0 answers; the others nothing."""

    def body(transport: Transport) -> list[Answer]:
        model = reopen(folder, settings_of(folder), transport)
        found = list(predict(model, texts if transport.rank == 0 else [], most))
        transport.close()
        return found

    first, *others = run_ranks(ranks, body)
    assert others == [[]] * (ranks - 1)
    return first


@pytest.fixture(scope="module")
def classifier(bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    given = settings(bert, requests, strategy={"name": "pipeline"}, training={"epochs": 4})
    return run(given, 2, tmp_path_factory.mktemp("classifier") / "out")


@pytest.mark.parametrize("ranks", [1, 2])
def test_labels_and_scores_are_those_of_plain_peft(classifier: Finished, ranks: int) -> None:
    given, labels = settings_of(classifier.folder), classifier.result["labels"]
    plain = AutoModelForSequenceClassification.from_pretrained(given.model.name, num_labels=3)
    model = PeftModel.from_pretrained(plain, classifier.folder / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(given.model.name)
    found = answers(classifier.folder, ranks, TEXTS)
    assert len(found) == len(TEXTS)
    for (text,), answer in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            likely = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
        assert answer["label"] == labels[int(likely.argmax())]
        assert answer["score"] == pytest.approx(float(likely.max()), abs=1e-5)
    assert len({answer["label"] for answer in found}) > 1


def _write_answers(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        rows = [
            {"prompt": f"{verb} the {place} light", "completion": f"{place} {verb}"}
            for verb in ("turn on", "dim", "close")
            for place in ("hall", "kitchen", "work")
        ]
        lines = [json.dumps(row) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _generator(
    family: str, task: str, folder: Path, epochs: int = 20, rate: float = 0.03
) -> Finished:
    model, data = save_tiny(family, folder / family), _write_answers(folder / "data")
    training: dict[str, Any] = {"epochs": epochs, "learning_rate": rate, "batch_size": 4}
    given = settings(
        model,
        data,
        task={"name": task, "max_target_length": 32},
        strategy={"name": "pipeline"},
        training=training,
    )
    return run(given, 1, folder / "out")


@pytest.fixture(
    scope="module",
    params=[("gpt2", "language"), ("llama", "language"), ("t5", "seq2seq"), ("bart", "seq2seq")],
    ids=lambda pair: pair[0],
)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    family, task = request.param
    return _generator(family, task, tmp_path_factory.mktemp("generator"))


def _generated(finished: Finished, text: str, most: int) -> str:
    """What transformers generates with the adapter merged into the model."""
    given = settings_of(finished.folder)
    apart = given.task.name == "seq2seq"
    kind = AutoModelForSeq2SeqLM if apart else AutoModelForCausalLM
    plain = kind.from_pretrained(given.model.name)
    model = PeftModel.from_pretrained(plain, finished.folder / "adapter").merge_and_unload().eval()
    tokenizer = AutoTokenizer.from_pretrained(given.model.name)
    entered = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    # No rule of a family's own: whatever is likeliest, as the metrics count it.
    # And no cache: transformers' takes T5's decoder to be as deep as its encoder.
    plainly = {
        "use_cache": False,
        "forced_bos_token_id": None,
        "forced_eos_token_id": None,
        "num_beams": 1,
    }
    made = model.generate(
        **entered, **plainly, do_sample=False, max_new_tokens=most, pad_token_id=0, min_length=0
    )
    start = 1 if apart else entered["input_ids"].shape[1]
    return str(tokenizer.decode(made[0, start:], skip_special_tokens=True))


@pytest.mark.parametrize("ranks", [1, 3])
def test_text_is_generated_as_transformers_does(generator: Finished, ranks: int) -> None:
    texts = ["turn on the hall light", "dim the kitchen light", "close the work light"]
    found = answers(generator.folder, ranks, [(text,) for text in texts])
    expected = [_generated(generator, text, 12) for text in texts]
    assert [answer["text"] for answer in found] == expected
    assert all(answer.keys() == {"text"} for answer in found)
    assert len(set(expected)) > 1


def test_generation_stops_at_the_limit(generator: Finished) -> None:
    texts: list[Text] = [("turn on the hall light",)]
    (short,), (long,) = (answers(generator.folder, 1, texts, most) for most in (1, 3))
    assert str(long["text"]).startswith(str(short["text"]))
    assert str(short["text"]) == _generated(generator, texts[0][0], 1)


def test_a_decoder_stops_at_its_last_position(tmp_path: Path) -> None:
    endless = _generator("bart", "seq2seq", tmp_path / "bart", epochs=1, rate=1e-3)
    before, last, beyond = (
        str(answers(endless.folder, 1, [("dim the light",)], most)[0]["text"])
        for most in (POSITIONS - 1, POSITIONS, POSITIONS + 20)
    )
    assert last == beyond
    assert last.startswith(before)
    assert last != before
