"""``mpiedge profile``, alone and over MPI, and a plan by what it wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import parsed
from tests.cli.test_plan import RUN
from tests.models import save_tiny
from tests.runs import write_requests


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profiles")
    model = save_tiny("bert", folder / "bert", blocks=3)
    data = write_requests(folder / "requests", rows=24)
    (folder / "run.toml").write_text(RUN.format(model=model, data=data, strategy="pipeline"))
    return folder


@pytest.fixture
def said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a command prints that runs in this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def of(*words: str) -> str:
        capsys.readouterr()
        code = main(words)
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return of


def test_two_ranks_are_measured_and_planned_by(folder: Path, said: Callable[..., str]) -> None:
    run, path = str(folder / "run.toml"), str(folder / "cluster.toml")
    done = subprocess.run(
        (sys.executable, "-m", "mpiedge", "launch", "-n", "2", "--")
        + ("profile", run, "--output", path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("measured 2 devices and 1 links in ")
    values = parsed(Path(path))
    assert [each["ranks"] for each in values["link"]] == [[0, 1]]
    assert values["link"][0]["rate"] > 0
    assert set(values["device"][1]["layers"]) == {"embedding", "block", "head"}
    planned = json.loads(said("plan", run, "--cluster", path, "--json"))
    assert [device["host"] for device in planned["devices"]] == [
        each["host"] for each in values["device"]
    ]
    assert planned["devices"][0]["budget_bytes"] == round(values["device"][0]["memory"] * 2**30)
    assert planned["seconds"] > 0


def test_one_device_alone(folder: Path, said: Callable[..., str]) -> None:
    path = folder / "one.toml"
    run = (str(folder / "run.toml"), "--output", str(path))
    alone = ("profile", *run, "--set", "strategy.name=standalone")
    assert said(*alone).startswith("measured 1 device in ")
    assert parsed(path)["link"] == []
    before = path.read_bytes()
    assert said(*alone) == f"{path} still holds; --max-age 0 measures again\n"
    assert path.read_bytes() == before
    assert said(*alone, "--set", "adapter.kind=full").startswith(
        f"{path} is measured again: it is of a model with adapter lora, and the run has full\n"
    )
    assert parsed(path)["model"]["adapter"] == "full"
