"""The output directory: made, written whole, and begun anew by the next run."""

import json
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.run.output import Output, replace_text


def test_folders_are_made_when_the_run_begins_and_not_before(tmp_path: Path) -> None:
    output = Output(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    output.run_file("")
    assert output.folder.is_dir()
    assert output.adapter == tmp_path / "a" / "b" / "adapter"


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_way_is_bad_input(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("")
    folder = tmp_path / "taken" / below
    with pytest.raises(BadInput) as bad:
        Output(folder)
    assert str(bad.value).startswith(f"output directory {folder} cannot be written to (")
    assert str(bad.value).endswith("; choose another with --output-dir")


def test_a_folder_where_the_record_should_be(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(BadInput, match="cannot be written to"):
        Output(tmp_path)


def test_a_file_where_the_adapter_should_be_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "adapter").write_text("")
    with pytest.raises(BadInput, match="adapter is a file"):
        Output(tmp_path)


def test_a_result_that_will_be_replaced_is_known(tmp_path: Path) -> None:
    output = Output(tmp_path)
    assert not output.replaces
    output.run_file("")
    output.result({})
    assert Output(tmp_path).replaces


def test_every_line_can_be_read_at_once(tmp_path: Path) -> None:
    output = Output(tmp_path)
    output.run_file("")
    for step in (1, 2):
        output.line({"step": step})
        lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(1, step + 1))


def test_a_run_begins_its_record_anew_once_it_is_sure_to_run(tmp_path: Path) -> None:
    first = Output(tmp_path)
    first.run_file("one = 1\n")
    first.line({"step": 1})
    first.result({"metrics": {}})
    again = Output(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
    again.run_file("two = 2\n")
    assert (tmp_path / "run.toml").read_text() == "two = 2\n"
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    assert not (tmp_path / "result.json").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "result.json"
    replace_text(place, "old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(place, "new \ud800")
    assert place.read_text() == "old"
    replace_text(place, "näw")
    assert place.read_text(encoding="utf-8") == "näw"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
