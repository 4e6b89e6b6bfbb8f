"""The list of records that are gone."""

from pathlib import Path

import pytest

from mpiedge.store import dropped
from tests.store.stored import fill, opened


def test_there_and_back(tmp_path: Path) -> None:
    assert dropped.read(tmp_path) == {}
    dropped.write(tmp_path, {"000000.h5": {3, 1}, "000001.h5": set()})
    assert dropped.read(tmp_path) == {"000000.h5": {1, 3}, "000001.h5": set()}


@pytest.mark.parametrize("content", ["", "[]", '{"000000.h5": 3}', '{"000000.h5": ["x"]}', "\0"])
def test_a_damaged_list_does_no_harm(content: str, tmp_path: Path) -> None:
    fill(tmp_path)
    with opened(tmp_path) as cache:
        cache.drop([1])
        assert len(cache.complete(range(4))) == 11
    (tmp_path / "dropped.json").write_text(content)
    with opened(tmp_path) as cache:
        assert len(cache.complete(range(4))) == 12
