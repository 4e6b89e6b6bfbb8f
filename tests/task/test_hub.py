import sys
from types import ModuleType
from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.task.corpus import Corpus
from mpiedge.task.hub import hub_table
from mpiedge.task.settings import TaskSettings


class Columns(dict[str, list[Any]]):
    """A split as the package datasets gives it."""

    @property
    def column_names(self) -> list[str]:
        return list(self)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """A package datasets with a hub behind it that remembers what it was asked for."""
    calls: list[tuple[str, str, str]] = []

    def load_dataset(path: str, name: str, *, split: str) -> Columns:
        calls.append((path, name, split))
        return Columns(premise=["x", "y"], hypothesis=["a", "b"], label=[2, 0], idx=[0, 1])

    stand_in = ModuleType("datasets")
    stand_in.__dict__["load_dataset"] = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    return calls


def test_a_split_becomes_a_table(asked: list[tuple[str, str, str]]) -> None:
    table = hub_table("mnli", "train")
    assert asked == [("nyu-mll/glue", "mnli", "train")]
    assert table.columns == ("premise", "hypothesis", "label", "idx")
    assert table.column("label", "task.label") == ["2", "0"]
    assert table.where(1) == "nyu-mll/glue/mnli/train, line 2"


def test_a_corpus_without_data_asks_for_the_official_splits(
    asked: list[tuple[str, str, str]],
) -> None:
    corpus = Corpus(TaskSettings(name="mnli"), seed=0, hub_validation="validation_matched")
    assert len(corpus.table("train")) == len(corpus.table("validation")) == 2
    assert [split for _, _, split in asked] == ["train", "validation_matched"]
    assert corpus.notes == ()


def test_no_network_is_one_line_with_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the Hub\nmore\nand more")

    stand_in = ModuleType("datasets")
    stand_in.__dict__["load_dataset"] = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    with pytest.raises(
        BadInput, match="Couldn't reach the Hub; set task.data to a folder"
    ) as error:
        hub_table("mrpc", "train")
    assert "\n" not in str(error.value)


def test_without_the_package_both_repairs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        BadInput, match=r"set task.data to a folder .* pip install 'mpiedge\[hub\]'"
    ):
        hub_table("mrpc", "train")
