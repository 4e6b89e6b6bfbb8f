"""Output directories as stories, and what is none."""

import json
import shutil
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.report.reading import printable, read


def test_all_that_a_run_wrote_is_there(pipelined: Path) -> None:
    story = read(pipelined)
    result = json.loads((pipelined / "result.json").read_text())
    assert story.name == "pipelined"
    assert (story.state, story.finished, story.planned) == ("finished", True, 3)
    assert [step.number for step in story.steps] == [1, 2, 3]
    assert story.scores[-1].metrics == story.metrics == result["metrics"]
    assert [rank.resident for rank in story.ranks] == [
        each["peak_resident_bytes"] for each in result["ranks"]
    ]
    assert story.setting("strategy", "name") == "pipeline"
    assert story.setting("strategy", "nothing") == ""
    assert len(story.phases) == 1
    assert story.seconds == result["epochs"][0]["seconds"]


def test_links_and_budgets_are_in_the_result(pipelined: Path) -> None:
    story = read(pipelined)
    assert [set(rank.links) for rank in story.ranks] == [{1}, {0}]
    for rank in story.ranks:
        assert sum(rank.links.values()) == sum(each.bytes for each in rank.sent) > 0
        assert rank.budget > 2**20


def test_no_folder_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^no folder .*none; name the output directory of a run"):
        read(tmp_path / "none")
    with pytest.raises(BadInput, match="has no run.toml, so no run began there"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("result.json", "{", "cannot be read"),
        ("result.json", "[]", "holds a list where values by name should be"),
        ("result.json", '{"ranks": [{}]}', "not as this version of mpiedge writes them"),
        ("result.json", '{"epochs": 3}', "not as this version of mpiedge writes them"),
        ("trace.json", '{"traceEvents": [1]}', "not as this version of mpiedge writes them"),
        ("status.json", "\x00", "cannot be read"),
        ("metrics.jsonl", '{"loss": 1}', "not as this version of mpiedge writes them"),
        ("run.toml", "a = ", "is not TOML"),
        ("run.toml", "a = 1", "not as this version of mpiedge writes them"),
    ],
)
def test_files_of_another_make(
    pipelined: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    folder = shutil.copytree(pipelined, tmp_path / "copy")
    (folder / name).write_text(text)
    with pytest.raises(BadInput, match=said) as bad:
        read(folder)
    assert "\n" not in str(bad.value)


def test_names_without_what_no_page_can_hold() -> None:
    assert printable("a b\n\udc80\x00é漢") == "a b???é漢"
