import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.task.corpus import Corpus, Examples
from mpiedge.task.settings import TaskSettings
from mpiedge.task.table import Table
from mpiedge.task.task import Encoded

Write = Callable[[str, str], Path]


def numbered(count: int) -> str:
    return "text\n" + "".join(f"row {i}\n" for i in range(count))


def texts(table: Table) -> list[str]:
    return table.column("text", "task.text")


def test_a_folder_gives_both_splits_as_they_are(write: Write) -> None:
    write("train.tsv", numbered(30))
    corpus = Corpus(TaskSettings(data=str(write("dev.tsv", "text\nx\n"))), seed=0)
    assert texts(corpus.table("train")) == [f"row {i}" for i in range(30)]
    assert texts(corpus.table("validation")) == ["x"]
    assert corpus.notes == ()


def test_one_file_holds_a_tenth_out_and_says_so(write: Write) -> None:
    path = write("mine.tsv", numbered(57)) / "mine.tsv"
    corpus = Corpus(TaskSettings(data=str(path)), seed=3)
    train, validation = texts(corpus.table("train")), texts(corpus.table("validation"))
    assert len(validation) == 5
    assert sorted(train + validation) == sorted(f"row {i}" for i in range(57))
    assert corpus.notes == (
        f"no validation file: 5 of 57 rows of {path}, drawn with seed 3, are held out for "
        "validation",
    )


def test_the_seed_alone_says_which_rows_are_held_out(write: Write) -> None:
    settings = TaskSettings(data=str(write("mine.tsv", numbered(57)) / "mine.tsv"))
    drawn = [texts(Corpus(settings, seed).table("validation")) for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_train_examples_are_the_first_of_a_seeded_shuffle(write: Write) -> None:
    write("train.tsv", numbered(30))
    settings = TaskSettings(
        data=str(write("dev.tsv", numbered(9))), train_examples=7, eval_examples=2
    )
    corpus = Corpus(settings, seed=5)
    expected = random.Random(5).sample(range(30), 7)
    assert texts(corpus.table("train")) == [f"row {i}" for i in expected]
    assert texts(corpus.table("validation")) == ["row 0", "row 1"]
    assert len(corpus.labelled) == 30


def test_more_examples_than_there_are_means_all(write: Write) -> None:
    write("train.tsv", numbered(3))
    folder = str(write("dev.tsv", numbered(2)))
    corpus = Corpus(TaskSettings(data=folder, train_examples=9, eval_examples=9), seed=0)
    assert texts(corpus.table("train")) == ["row 0", "row 1", "row 2"]
    assert len(corpus.table("validation")) == 2


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_is_refused(write: Write, split: str) -> None:
    write("train.tsv", numbered(0 if split == "train" else 3))
    folder = str(write("validation.tsv", numbered(0 if split == "validation" else 3)))
    with pytest.raises(BadInput, match=rf"{split}\.tsv: the {split} split is empty; add rows"):
        Corpus(TaskSettings(data=folder), seed=0).table(split)  # type: ignore[arg-type]


def test_a_file_of_one_row_cannot_be_held_out_from(write: Write) -> None:
    path = write("mine.tsv", numbered(1)) / "mine.tsv"
    with pytest.raises(BadInput, match="has 1 row, so none can be held out"):
        Corpus(TaskSettings(data=str(path)), seed=0).table("validation")


def test_a_task_that_is_on_no_hub_needs_data() -> None:
    with pytest.raises(BadInput, match="^task.data is not set, and language is on no hub"):
        Corpus(TaskSettings(name="language"), seed=0).table("train")


def test_examples_are_made_once_a_split(write: Write) -> None:
    write("train.tsv", numbered(3))
    corpus = Corpus(TaskSettings(data=str(write("dev.tsv", numbered(2)))), seed=0)
    seen: list[int] = []

    def encode(table: Table) -> list[Encoded]:
        seen.append(len(table))
        return [Encoded((i,)) for i in range(len(table))]

    examples = Examples(corpus, encode)
    assert [len(examples.of("train")), len(examples.of("validation"))] == [3, 2]
    assert examples.of("train") is examples.of("train")
    assert seen == [3, 2]
