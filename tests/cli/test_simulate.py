"""``mpiedge simulate``: numbers, a picture and a trace."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mpiedge.cli.simulate import simulate
from mpiedge.errors import BadInput
from tests.cli.test_plan import RUN
from tests.models import save_tiny
from tests.runs import write_requests


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("simulations")
    model = save_tiny("bert", folder / "bert", blocks=3)
    data = write_requests(folder / "requests", rows=24)
    path = folder / "run.toml"
    path.write_text(RUN.format(model=model, data=data, strategy="pipeline"))
    return str(path)


def said(*words: str) -> str:
    result = CliRunner().invoke(simulate, words)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_table_and_both_files(run_file: str, tmp_path: Path) -> None:
    picture, trace = tmp_path / "new" / "a.svg", tmp_path / "new" / "a.json"
    text = said(run_file, "--ranks", "2", "--output", str(picture), "--trace", str(trace))
    assert text.startswith("pipeline, phase 1 of 1\n")
    rows = [line.split() for line in text.splitlines()[2:4]]
    assert [row[0] for row in rows] == ["0", "1"]
    assert all(row[2].endswith("%") and row[3].endswith("%") for row in rows)
    assert f"picture: {picture}" in text
    assert picture.exists()
    assert json.loads(trace.read_text())["traceEvents"]


def test_numbers_for_a_program(run_file: str) -> None:
    found = json.loads(said(run_file, "--ranks", "2", "--batches", "1", "--json"))
    assert found["batches"] == 1
    assert len(found["ranks"]) == 2


def test_against_a_cluster(run_file: str) -> None:
    hostfile = Path(__file__).parents[2] / "hostfiles" / "mixed-4.toml"
    found = json.loads(said(run_file, "--cluster", str(hostfile), "--json"))
    assert [each["rank"] for each in found["ranks"]] == [0, 1, 2, 3]


def test_a_picture_that_cannot_be_drawn_is_said_first(run_file: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a picture ends with"):
        said(run_file, "--output", str(tmp_path / "a.gif"))
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="the simulation cannot be written"):
        said(run_file, "--trace", str(tmp_path / "file" / "a.json"))
