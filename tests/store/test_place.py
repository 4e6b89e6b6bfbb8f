"""Where caches lie."""

from pathlib import Path

import pytest

from mpiedge.store.place import rank_folder, root


def test_the_setting_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/someone")
    assert root("/data/cache") == Path("/data/cache")
    assert root("~/cache") == Path("/home/someone/cache")
    assert root("") == Path("/xdg/mpiedge/activations")


@pytest.mark.parametrize("unset", [None, "", "relative"])
def test_the_home_folder_otherwise(unset: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    if unset is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
    assert root("") == Path("/home/someone/.cache/mpiedge/activations")


def test_one_folder_a_rank() -> None:
    assert rank_folder(Path("/c/ab"), "train", 3) == Path("/c/ab/train/rank-3")
