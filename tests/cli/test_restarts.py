"""What a launch knows of the train that it starts again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mpiedge.cli.launch import launch
from mpiedge.cli.restarts import reached, surroundings
from mpiedge.errors import BadInput
from mpiedge.launch.again import Reached


def status(path: Path, **values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_only_what_this_launch_has_written_counts(tmp_path: Path) -> None:
    path = status(tmp_path / "status.json", step=9, checkpoint=8, time=50.0)
    assert reached(path, 40.0) == Reached(9, 8)
    assert reached(path, 60.0) == Reached()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"time": "x"}', '{"time": 70}'])
def test_a_status_that_says_nothing_is_no_progress(text: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(text, encoding="utf-8")
    assert reached(tmp_path / "status.json", 60.0) == Reached()
    assert reached(tmp_path / "absent.json", 60.0) == Reached()


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (("train", "mine.toml"), "runs/mine"),
        (("train", "mine.toml", "--output-dir", "there"), "there"),
        (("train", "mine.toml", "--set", "a.b=1", "--resume", "again"), "again"),
        (("train", "mine.toml", "--output-dir=there", "--resume=latest"), "there"),
    ],
)
def test_the_status_is_looked_for_where_the_train_writes_it(
    words: tuple[str, ...], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status(tmp_path / folder / "status.json", step=5, checkpoint=None, time=1e12)
    assert surroundings(words, {}).reached() == Reached(5, None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--max-restarts", "2", "--", "doctor"), "is for train, which has checkpoints, not for"),
        (("--rejoin", "9", "--", "train", "x.toml"), "--rejoin 9 says how long a restart waits"),
    ],
)
def test_restarts_that_make_no_sense_are_refused(options: tuple[str, ...], complaint: str) -> None:
    result = CliRunner().invoke(launch, ("-n", "2", *options))
    assert isinstance(result.exception, BadInput)
    assert complaint in str(result.exception)
