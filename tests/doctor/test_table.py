"""The report in its three forms."""

import io
import json

from mpiedge.doctor.findings import Finding
from mpiedge.doctor.report import Report
from mpiedge.doctor.table import as_json, as_text, draw, sheets
from tests.doctor.ward import LINK, WELL

REPORT = Report((WELL,), (LINK,), (Finding("a [bold] problem", "mend it"),))


def test_the_text_is_plain_and_complete() -> None:
    text = as_text(REPORT)
    assert "\x1b" not in text
    for word in ("3.11.7", "Open MPI v5.0.11", "pi-0", "a board", "4.0", "3.0", "0 - 1"):
        assert word in text
    assert "50           125" in text  # microseconds, MB/s
    assert text.endswith("WRONG: a [bold] problem\n  mend: mend it")


def test_columns_stand_under_one_another() -> None:
    head, row = as_text(REPORT).split("Ranks\n")[1].splitlines()[:2]
    assert head.index("processor") == row.index("a board")


def test_links_are_left_out_where_there_are_none() -> None:
    assert [sheet.title for sheet in sheets(REPORT)] == ["Versions", "Ranks", "Links"]
    assert [sheet.title for sheet in sheets(Report((WELL,), (), ()))] == ["Versions", "Ranks"]


def test_a_terminal_gets_the_same_words() -> None:
    screen = io.StringIO()
    draw(REPORT, screen)
    assert "a [bold] problem" in screen.getvalue()
    assert "pi-0" in screen.getvalue()
    well = io.StringIO()
    draw(Report((WELL,), (), ()), well)
    assert "Nothing is wrong." in well.getvalue()


def test_json() -> None:
    values = json.loads(as_json(REPORT))
    assert values["ranks"][0]["mpi"]["multiple"] is True
    assert values["findings"] == [{"problem": "a [bold] problem", "repair": "mend it"}]
