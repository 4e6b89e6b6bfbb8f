"""What a cache is of, in words."""

from pathlib import Path

import pytest

from mpiedge.store.description import Description, describe, description_of

ABOUT = Description("bert", "mrpc", "int8", 13, {"train": 3668}, "2026-01-02")


def test_there_and_back(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    assert description_of(home) is None
    describe(home, ABOUT)
    assert description_of(home) == ABOUT
    assert [path.name for path in home.iterdir()] == ["key.json"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": "bert"}', "\0\1"])
def test_one_that_cannot_be_read_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(content)
    assert description_of(tmp_path) is None
