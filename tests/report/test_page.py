"""Pages of real runs."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.report.page import page, pictures, report
from mpiedge.report.reading import read
from mpiedge.report.sections import sections
from tests.report.pages import Page, check, page_of


def of(*folders: Path) -> str:
    stories = [read(folder) for folder in folders]
    return page(stories, sections(stories))


def test_a_pipeline(pipelined: Path, tmp_path: Path) -> None:
    report([read(pipelined)], tmp_path / "new" / "a.html", None)
    found = page_of(tmp_path / "new" / "a.html")
    check(found)
    text = " ".join(found.text)
    accuracy = json.loads((pipelined / "result.json").read_text())["metrics"]["accuracy"]
    assert f"accuracy {accuracy:.4f}" in found.text[2]  # after the titles, before anything else
    assert "by pipeline on 2 ranks, finished" in found.text[2]
    assert "hidden states that layers made of examples (activation)" in text
    captions = [figure.caption for figure in found.figures]
    assert "Training loss by update" in captions
    assert "MiB from each rank to each other" in captions
    assert "Foreseen: phase 1 of 1, its first batches" in captions
    assert not any(caption.startswith("Measured") for caption in captions)


def test_the_gain_of_a_cache_is_said(cached: Path) -> None:
    found = Page(of(cached))
    check(found)
    text = " ".join(found.text)
    assert re.search(r"The first epoch recorded .* in [\d.]+ s; .* times as fast\.", text)
    assert {"record", "replay"} <= set(found.text)


def test_rounds(in_rounds: Path) -> None:
    found = Page(of(in_rounds))
    check(found)
    text = " ".join(found.text)
    assert "gradients or weights of one device's round (reply)" in text
    assert "A round took" in text
    assert not any(figure.caption.startswith("Foreseen") for figure in found.figures)


def test_runs_side_by_side_are_lettered(pipelined: Path, cached: Path) -> None:
    found = Page(of(pipelined, cached, pipelined))
    check(found)
    assert found.text.count("A: pipelined") == found.text.count("C: pipelined") > 3
    loss = next(each for each in found.figures if each.caption.startswith("Training loss"))
    assert {"A", "B", "C"} <= set(loss.words)
    assert "A seconds" in found.text


def test_a_measured_timeline_where_there_is_one(pipelined: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pipelined, tmp_path / "traced")
    slices = [
        {"ph": "M", "name": "thread_name", "tid": 0},
        *(
            {"ph": "X", "cat": cat, "tid": n % 2, "ts": n * 1e6, "dur": 4e5, "args": {"batch": n}}
            for n in range(6)
            for cat in ("forward", "backward", "wait", "odd")
        ),
    ]
    (folder / "trace.json").write_text(json.dumps({"traceEvents": slices}))
    found = Page(of(folder))
    check(found)
    measured = [each for each in found.figures if each.caption.startswith("Measured")]
    assert [each.caption for each in measured] == [
        "Measured: the first three batches",
        "Measured: the run",
    ]
    assert {"forward", "wait", "other", "rank 1"} <= set(measured[1].words)


def test_an_unfinished_run_is_shown_as_far_as_it_went(pipelined: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pipelined, tmp_path / "cut")
    (folder / "result.json").unlink()
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "state": "stopped"}))
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join([*lines[:2], lines[2][:20]]))
    found = Page(of(folder))
    check(found)
    text = " ".join(found.text)
    assert "The run has not finished: 2 of 3 updates are recorded; its last state is" in text
    assert "--resume latest" in text
    assert "by pipeline, not finished" in text
    assert "Memory" not in found.text


def test_a_run_that_only_began(pipelined: Path, tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    folder.mkdir()
    shutil.copy(pipelined / "run.toml", folder)
    found = Page(of(folder))
    assert found.wrong == []
    assert found.figures == []
    assert "The run has not finished: 0 updates are recorded." in " ".join(found.text)


def test_names_are_text_and_never_markup(pipelined: Path, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>$x_{"
    folder = shutil.copytree(pipelined, tmp_path / "a&<b>'\"$\x01漢")
    result = json.loads((folder / "result.json").read_text())
    result["metrics"] = {evil: 0.5}
    result["ranks"][0]["host"] = evil
    (folder / "result.json").write_text(json.dumps(result))
    with (folder / "metrics.jsonl").open("a") as lines:
        lines.write(json.dumps({"step": 3, "evaluation": {evil: 0.5}}) + "\n")
    run_file = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(run_file.replace('dtype = "float32"', f"dtype = '{evil}'"))
    found = Page(of(folder, pipelined))
    check(found)
    assert f"0 ({evil})" in found.text
    assert "A: a&<b>'\"$?漢" in found.text
    assert f"{evil} 0.5000" in " ".join(found.text)
    assert evil in found.text  # the setting


def test_figures_as_files(pipelined: Path, tmp_path: Path) -> None:
    stories = [read(pipelined)]
    report(stories, tmp_path / "a.html", tmp_path / "figures")
    names = {picture.name for picture in pictures(sections(stories))}
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}{kind}" for name in names for kind in (".png", ".svg")}
    assert all(path.stat().st_size > 2000 for path in (tmp_path / "figures").iterdir())


def test_a_place_that_cannot_be_written(pipelined: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="the report cannot be written: .*; choose another place"):
        report([read(pipelined)], tmp_path / "file" / "a.html", None)
    with pytest.raises(BadInput, match="the report cannot be written"):
        report([read(pipelined)], tmp_path, None)
