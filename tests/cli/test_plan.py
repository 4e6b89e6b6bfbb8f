"""``mpiedge plan``: tables for people, JSON for programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mpiedge.cli.plan import plan
from mpiedge.errors import BadInput
from tests.models import save_tiny
from tests.runs import write_requests

RUN = """
[model]
name = "{model}"
[task]
name = "classification"
data = "{data}"
max_length = 32
[strategy]
name = "{strategy}"
[training]
batch_size = 8
micro_batch_size = 2
threads = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    model = save_tiny("bert", folder / "bert", blocks=3)
    data = write_requests(folder / "requests", rows=24)
    (folder / "deft.toml").write_text(RUN.format(model=model, data=data, strategy="deft"))
    return folder


def said(*words: str) -> str:
    result = CliRunner().invoke(plan, words)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_round_in_tables(folder: Path) -> None:
    text = said(
        str(folder / "deft.toml"), "--ranks", "4", "--set", "strategy.uplinks=[1e6,2e6,4e6]"
    )
    titles = ("Blocks\n", "Computing, ", "Sending ", "First round")
    assert all(title in text for title in titles)
    rows = [line.split() for line in text.split("First round")[1].splitlines()[2:10]]
    assert [row[0] for row in rows][:2] == ["jbba*", "jbba-dual"]
    assert float(rows[0][1]) <= float(rows[3][1])
    assert rows[-1][0] == "fedlora"


def test_a_round_for_a_program(folder: Path) -> None:
    found = json.loads(said(str(folder / "deft.toml"), "--ranks", "4", "--json"))
    assert len(found["round"]["clients"]) == 3
    assert found["round"]["chosen"] == "jbba"


def test_no_round_is_said_below_the_tables(folder: Path) -> None:
    text = said(str(folder / "deft.toml"), "--ranks", "2", "--set", "strategy.blocks=3")
    assert "no round: 3 blocks are more than the 1 devices" in text
    assert "jbba*         none" in text


def test_too_few_ranks(folder: Path) -> None:
    with pytest.raises(BadInput, match="set it from 1 to 3"):
        said(str(folder / "deft.toml"), "--ranks", "4", "--set", "strategy.blocks=9")


def test_two_ranks_over_mpi(folder: Path) -> None:
    words = ("launch", "-n", "2", "--", "plan", str(folder / "deft.toml"), "--json")
    done = subprocess.run(
        (sys.executable, "-m", "mpiedge", *words),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert [client["rank"] for client in json.loads(done.stdout)["round"]["clients"]] == [1]


def test_a_pipeline_in_tables(folder: Path) -> None:
    words = (str(folder / "deft.toml"), "--set", "strategy.name=pipeline", "--ranks", "2")
    text = said(*words)
    ranks = text.split("Ranks")[1].splitlines()[2:4]
    assert [row.split()[:3] for row in ranks] == [["0", "device", "0"], ["1", "device", "1"]]
    assert "0 to 1  activation" in text
    assert "time: " in text
    found = json.loads(said(*words, "--json"))
    assert found["fits"]
    assert [group["ranks"] for group in found["phases"][0]["groups"]] == [[0], [1]]


def test_a_ring_whose_depths_look_alike_is_one_row(folder: Path) -> None:
    words = ("--set", "strategy.name=ring", "--set", "strategy.interval=1", "--ranks", "2")
    text = said(str(folder / "deft.toml"), *words)
    layout = text.split("Ranks")[0]
    assert layout.count("computed") == 1


def test_every_strategy_ranked(folder: Path) -> None:
    words = (str(folder / "deft.toml"), "--strategy", "auto", "--ranks", "2")
    text = said(*words)
    table, *_ = text.split("\n\n")
    names = [line.split()[0] for line in table.splitlines()[2:]]
    assert "pac: strategy.name pac trains a network beside the model" in text
    found = json.loads(said(*words, "--json"))
    assert [one["strategy"] for one in found["strategies"] if one["fits"]] == names
    assert found["best"]["strategy"] == names[0]


def test_another_strategy_than_the_run_files(folder: Path) -> None:
    words = (str(folder / "deft.toml"), "--strategy", "split", "--ranks", "2", "--json")
    assert json.loads(said(*words))["strategy"] == "split"
