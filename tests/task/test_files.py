from collections.abc import Callable
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.task.files import locate

Write = Callable[[str, str], Path]


@pytest.mark.parametrize("train", ["train.tsv", "train.csv.gz", "train.jsonl", "train.txt.gz"])
@pytest.mark.parametrize("validation", ["validation.tsv", "validation_matched.csv", "dev.txt"])
def test_splits_are_found_by_name(write: Write, train: str, validation: str) -> None:
    write(train, "")
    folder = write(validation, "")
    assert locate(str(folder)) == (folder / train, folder / validation)


def test_the_validation_file_is_preferred_to_dev_and_test(write: Write) -> None:
    for name in ("train.tsv", "test.tsv", "dev.tsv", "validation.jsonl.gz"):
        folder = write(name, "")
    found = locate(str(folder)).validation
    assert found is not None
    assert found.name == "validation.jsonl.gz"


def test_a_test_file_serves_where_nothing_else_does(write: Write) -> None:
    write("train.tsv", "")
    found = locate(str(write("test.tsv", ""))).validation
    assert found is not None
    assert found.name == "test.tsv"


def test_one_file_is_a_training_file(write: Write) -> None:
    path = write("mine.jsonl", "") / "mine.jsonl"
    assert locate(str(path)) == (path, None)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^task.data: there is no folder or file .*gone; correct"):
        locate(str(tmp_path / "gone"))


def test_a_file_of_another_format(write: Write) -> None:
    path = write("train.parquet", "") / "train.parquet"
    with pytest.raises(BadInput, match=r"train.parquet is of no known format; give a folder"):
        locate(str(path))


def test_a_folder_without_a_train_file(write: Write) -> None:
    with pytest.raises(BadInput, match=r"has no file named train with one of the endings \.tsv"):
        locate(str(write("validation.tsv", "")))


def test_a_folder_without_a_validation_file(write: Write) -> None:
    message = r"no file named validation or .* give the train file itself as task.data$"
    with pytest.raises(BadInput, match=message):
        locate(str(write("train.tsv", "")))
