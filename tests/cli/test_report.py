"""``mpiedge report``: from the command line to the page."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mpiedge.cli import report as command
from mpiedge.errors import BadInput
from tests.models import save_tiny
from tests.report.pages import check, page_of
from tests.runs import run, settings, write_requests


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported")
    model = save_tiny("bert", folder / "bert")
    data = write_requests(folder / "requests", rows=24)
    return run(settings(model, data, training={"epochs": 1}), 1, folder / "ran").folder


def said(*words: object) -> str:
    result = CliRunner().invoke(command.report, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_page_and_figures(ran: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "a.html", tmp_path / "figures"
    assert said(ran, "-o", page, "--figures", figures) == f"report: {page}, figures in {figures}\n"
    found = page_of(page)
    check(found)
    assert "Nothing left any device" in " ".join(found.text)
    assert (figures / "loss.png").exists()


def test_one_line_where_there_is_no_run(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        said(ran, tmp_path / "none", "-o", tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_what_has_to_be_installed_is_said(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"matplotlib, which the report needs, .*mpiedge\[plots\]"):
        said(ran)
