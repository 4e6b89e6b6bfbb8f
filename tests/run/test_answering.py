"""Answers by generation."""

from pathlib import Path
from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.run.answering import answer, parted
from mpiedge.task.task import IGNORED, Encoded
from tests.models import save_tiny
from tests.runs import Finished, run, settings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so 6 * 7 = 42\n#### 42", "42"),
        ("#### 1\n#### 1,234 \nmore", "1234"),
        ("42", None),
        ("####", None),
    ],
)
def test_an_answer_is_behind_the_last_mark(text: str, found: str | None) -> None:
    assert answer(text, "####") == found


def test_a_prompt_and_what_should_follow() -> None:
    example = Encoded((5, 6, 7, 8, 9), target=(IGNORED, IGNORED, 8, 9, IGNORED))
    assert parted(example) == (Encoded((5, 6, 7)), (8, 9))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answering")
    for split, count in (("train", 24), ("validation", 3)):
        rows = [f"light {i % 2}\tis # {'on' if i % 2 else 'off'}" for i in range(count)]
        text = "\n".join(["question\tanswer", *rows]) + "\n"
        (folder / f"{split}.tsv").write_text(text, encoding="utf-8")
    return folder


def trained(data: Path, folder: Path, ranks: int, **changes: Any) -> Finished:
    model = save_tiny(
        "gpt2", folder / "gpt2", blocks=2, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0
    )
    task = {"name": "language", "text": ["question"], "label": "answer", "max_length": 16}
    given = settings(
        model,
        data,
        task={**task, "answer_mark": "#", **changes},
        adapter={"r": 16, "alpha": 64, "target_modules": ["c_attn", "c_fc", "mlp.c_proj"]},
        strategy={"name": "split", "cuts": [1], "clients": 2},
        training={"epochs": 30, "learning_rate": 0.01, "evaluate_every": 1000},
        cache={"folder": str(folder / "cache")},
    )
    return run(given, ranks, folder / f"on-{ranks}")


def test_a_split_model_answers_what_it_has_learnt(data: Path, tmp_path: Path) -> None:
    metrics = [trained(data, tmp_path, ranks).result["metrics"] for ranks in (1, 3)]
    assert metrics[0]["answer_match"] == metrics[1]["answer_match"]
    assert metrics[0]["answer_match"] > 0.6


def test_only_language_models_answer(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"task.answer_mark '#' is for task language"):
        trained(data, tmp_path, 1, name="classification", text=["question"])
