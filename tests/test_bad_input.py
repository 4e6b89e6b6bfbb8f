"""What a user can get wrong, through the command line: one line that says so, and exit code 2."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpiedge.__main__ import main
from mpiedge.config import RunSettings, to_toml
from tests.models import save_tiny
from tests.runs import settings, write_requests

Sections = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("bad") / "bert")


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("bad") / "requests", rows=12)


@pytest.fixture
def good(bert: Path, requests: Path) -> RunSettings:
    return settings(bert, requests)


class Mistake:
    """Tries a run file, and keeps the one line that comes of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, good: RunSettings, *words: str, **sections: dict[str, Any]) -> str:
        changed = {
            name: replace(getattr(good, name), **changes) for name, changes in sections.items()
        }
        path = self.folder / "run.toml"
        path.write_text(to_toml(replace(good, **changed)), encoding="utf-8")
        return self.of("train", str(path), "--output-dir", str(self.folder / "out"), *words)

    def of(self, *words: str) -> str:
        code = main(words)
        captured = self._capsys.readouterr()
        assert code == 2, captured.err
        assert captured.err.count("\n") == 1, captured.err
        assert captured.err.startswith("mpiedge: ")
        return captured.err.removeprefix("mpiedge: ").rstrip("\n")


@pytest.fixture
def mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Mistake:
    return Mistake(tmp_path, capsys)


def test_no_such_model_folder(mistake: Mistake, good: RunSettings) -> None:
    said = mistake(good, model={"name": "./no/such/model"})
    assert "no/such/model" in said


def test_a_model_of_an_unknown_family(
    mistake: Mistake, good: RunSettings, bert: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(bert, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "mamba"}))
    said = mistake(good, model={"name": str(other)})
    assert "mamba" in said
    assert "bert" in said


def test_a_shard_file_cut_short(
    mistake: Mistake, good: RunSettings, bert: Path, tmp_path: Path
) -> None:
    cut = shutil.copytree(bert, tmp_path / "cut")
    whole = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "model.safetensors" in mistake(good, model={"name": str(cut)})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"training": {"learning_rate": -0.1}}, "training.learning_rate = -0.1 has to be above 0"),
        ({"strategy": {"name": "pipelin"}}, "'pipelin' is not known, did you mean pipeline?"),
        ({"strategy": {"layers": [1, 2]}}, "strategy.layers [1, 2]"),
        ({"strategy": {"name": "data-parallel", "shares": [1.0, 2.0]}}, "strategy.shares [1.0, 2"),
        ({"task": {"name": "mrcp"}}, "unknown task 'mrcp'; did you mean 'mrpc'?"),
        ({"task": {"max_length": 161}}, "task.max_length = 161 is more than the 160 positions"),
        ({"task": {"max_length": -1}}, "task.max_length"),
        ({"task": {"data": "/no/such/data"}}, "/no/such/data"),
        ({"task": {"text": ["sentence"]}}, "sentence"),
        ({"task": {"name": "regression"}}, "label"),
        ({"task": {"labels": ["on", "off"]}}, "other"),
        ({"adapter": {"r": 0}}, "adapter.r: must be at least 1, not 0"),
        ({"adapter": {"target_modules": ["nowhere"]}}, "nowhere"),
        ({"adapter": {"kind": "parallel", "reduction": 3}}, "adapter.reduction: 3 does not divide"),
        (
            {"model": {"quantize": "int8"}, "adapter": {"kind": "full"}},
            "model.quantize: int8 is for frozen weights, and with adapter.kind = full none are",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_a_setting_that_cannot_be(
    mistake: Mistake, good: RunSettings, sections: Sections, words: str
) -> None:
    strategy = {"name": "pipeline", **sections.pop("strategy", {})}
    assert words in mistake(good, strategy=strategy, **sections)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.learnig_rate=1", "learnig_rate is not a setting; did you mean learning_rate?"),
        ("trainin.epochs=1", "unknown section [trainin]; did you mean training?"),
        ("training.epochs", "is not section.key=value"),
        ("strategy.shares=[nan]", "strategy.shares"),
        ("strategy.shares=[inf]", "strategy.shares"),
    ],
)
def test_an_override_that_cannot_be(
    mistake: Mistake, good: RunSettings, override: str, said: str
) -> None:
    assert said in mistake(good, "--set", override, strategy={"name": "data-parallel"})


def test_a_run_file_that_is_not_toml(mistake: Mistake, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("model: bert\n")
    assert "run.toml is not TOML: " in mistake.of("train", str(tmp_path / "run.toml"))
    assert mistake.of("train", str(tmp_path / "gone.toml")).startswith("no run file ")


def test_a_mistake_leaves_the_record_of_an_earlier_run_alone(
    mistake: Mistake, good: RunSettings, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.jsonl").write_text('{"step": 1}\n')
    mistake(good, task={"data": "/no/such/data"})
    assert (tmp_path / "out" / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_an_output_directory_that_cannot_be_written_to(
    mistake: Mistake, good: RunSettings, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    assert f"output directory {tmp_path / 'out'} cannot be written to" in mistake(good)


def _rewrite(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        (folder / name).write_text("\n".join(change(lines)) + "\n", encoding="utf-8")

    return apply


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_rewrite("train.tsv", lambda lines: ["text\tlable", *lines[1:]]), "label"),
        (_rewrite("validation.tsv", lambda lines: [*lines, "dim it\tperhaps"]), "perhaps"),
        (_rewrite("validation.tsv", lambda lines: lines[:1]), "validation.tsv"),
        (_rewrite("train.tsv", lambda lines: lines[:1]), "train.tsv"),
        (_rewrite("train.tsv", lambda lines: [*lines, "no label here"]), "train.tsv"),
        (lambda folder: (folder / "train.tsv").unlink(), "train"),
    ],
    ids=["column", "label", "empty validation", "empty train", "short row", "no file"],
)
def test_data_that_cannot_be_used(
    mistake: Mistake,
    good: RunSettings,
    requests: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    said: str,
) -> None:
    data = shutil.copytree(requests, tmp_path / "data")
    damage(data)
    assert said in mistake(good, task={"data": str(data)})


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_folder_without_a_run(mistake: Mistake, tmp_path: Path, command: str) -> None:
    assert "has no run.toml; name the output directory" in mistake.of(command, str(tmp_path))
