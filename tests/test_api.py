"""Training from a Python program: the same as by a run file, alone and over MPI."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import mpiedge
from mpiedge.__main__ import main
from mpiedge.config import to_toml
from mpiedge.errors import BadInput
from mpiedge.run.progress import Scores, Step
from tests.models import save_tiny
from tests.mpirun import environment
from tests.runs import Finished, difference, finished, settings, write_requests

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
SECTIONS: dict[str, dict[str, Any]] = {
    "adapter": {"r": 4},
    "task": {"name": "classification", "max_length": 32},
    "strategy": {"name": "pipeline"},
    "training": {
        "epochs": 2,
        "batch_size": 8,
        "micro_batch_size": 2,
        "learning_rate": 0.01,
        "threads": 1,
    },
}


def rows(file: Path) -> list[dict[str, str]]:
    header, *lines = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    save_tiny("bert", folder / "bert", blocks=3)
    write_requests(folder / "requests", rows=40)
    return folder


@pytest.fixture(scope="module")
def by_file(place: Path) -> Finished:
    """The same job by a run file."""
    given = settings(place / "bert", place / "requests", strategy={"name": "pipeline"})
    (place / "run.toml").write_text(to_toml(given), encoding="utf-8")
    folder = place / "by_file"
    assert main(["train", str(place / "run.toml"), "--output-dir", str(folder)]) == 0
    return finished(folder)


def run(place: Path, folder: Path, **more: Any) -> mpiedge.Run:
    data = place / "requests"
    given: dict[str, Any] = {
        "model": AutoModel.from_pretrained(place / "bert"),
        "tokenizer": AutoTokenizer.from_pretrained(place / "bert"),
        "examples": {split: rows(data / f"{split}.tsv") for split in ("train", "validation")},
    }
    return mpiedge.Run(SECTIONS, folder, **{**given, **more})


def test_what_is_in_memory_trains_as_files_do(
    place: Path, by_file: Finished, tmp_path: Path
) -> None:
    steps, scores = list[Step](), list[tuple[int, Scores]]()
    told = {"on_step": steps.append, "on_evaluation": lambda *each: scores.append(each)}
    made = run(place, tmp_path / "out", **told).train()
    assert difference(by_file, finished(made.folder)) == 0
    assert [step.step for step in steps] == list(range(1, 11))
    assert [step.loss for step in steps] == finished(made.folder).losses
    assert [after for after, _ in scores] == [5, 10]
    assert made.scores == scores[-1][1]
    assert (made.rank, made.ranks) == (0, 1)


def test_a_run_file_and_overrides(place: Path, by_file: Finished, tmp_path: Path) -> None:
    made = mpiedge.train(
        place / "run.toml", tmp_path / "out", overrides=["strategy.name=standalone"]
    )
    assert difference(by_file, finished(made.folder)) == 0


def test_the_result_needs_the_program_no_more(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run(place, tmp_path / "out").train()
    assert main(["predict", str(made.folder), "turn on the fan"]) == 0
    assert '"label"' in capsys.readouterr().out


def test_a_run_goes_on(place: Path, by_file: Finished, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def enough(step: Step) -> None:
        if step.step == 7:
            raise Enough

    often = ("checkpoint.every=3", "checkpoint.seconds=0")
    with pytest.raises(Enough):
        run(place, tmp_path / "out", overrides=often, on_step=enough).train()
    made = run(place, tmp_path / "out", overrides=often).train(resume=True)
    assert difference(by_file, finished(made.folder)) < 1e-6


def test_another_model_takes_the_place_of_the_first(place: Path, tmp_path: Path) -> None:
    short = ("training.max_steps=1",)
    run(place, tmp_path / "out", overrides=short).train()
    other = AutoModel.from_pretrained(place / "bert")
    with torch.no_grad():
        other.embeddings.LayerNorm.bias += 1
    run(place, tmp_path / "out", overrides=short, model=other).train()
    assert len(list((tmp_path / "out" / "inputs").glob("model-*"))) == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tokenizer": None}, "a model was given without its tokenizer"),
    ({"examples": {"test": []}}, "examples has test; give train"),
    ({"examples": {"train": []}}, "there are no train examples"),
    ({"examples": {"train": [3]}}, "example 0 of train is 3; give a mapping"),
    ({"examples": {"train": [{"text": object()}]}}, "example 0 of train is .*; give a mapping"),
    ({"overrides": ["training.epoch=1"]}, "training.epoch"),
]


@pytest.mark.parametrize(("more", "said"), WRONG)
def test_what_cannot_be_is_bad_input(
    more: dict[str, Any], said: str, place: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said):
        run(place, tmp_path / "out", **more).train()
    assert not (tmp_path / "out" / "result.json").exists()


def test_settings_without_a_task(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="settings: task.name is missing"):
        mpiedge.train({}, tmp_path, overrides=["model.name=bert"])


def test_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        mpiedge.trane  # noqa: B018


def example(place: Path) -> str:
    """The program of the page, with a tiny model and a short time."""
    found = re.search(r"```python\n(# train_reviews.py\n.*?)```", PAGE.read_text("utf-8"), re.S)
    assert found is not None
    name = '"sentence-transformers/all-MiniLM-L6-v2"  # or a folder'
    assert name in found[1]
    return found[1].replace(name, repr(str(place / "bert")))


def test_the_example_of_the_page_runs(place: Path, tmp_path: Path) -> None:
    (tmp_path / "train_reviews.py").write_text(example(place), encoding="utf-8")
    words = (sys.executable, "train_reviews.py")
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**environment(), **cache},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "update 20 of 27: loss" in done.stdout
    assert "after 27 updates: {'accuracy'" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("on 1 ranks")
