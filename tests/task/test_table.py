import pytest

from mpiedge.errors import BadInput
from mpiedge.task.table import Table

TABLE = Table("train.jsonl", ("text", "label"), [("x", 1), ("y", None), (["z"], 2.0)], [1, 2, 4])


def test_taken_rows_keep_their_lines() -> None:
    taken = TABLE.take([2, 0])
    assert list(taken.rows) == [(["z"], 2.0), ("x", 1)]
    assert [taken.where(0), taken.where(1)] == ["train.jsonl, line 4", "train.jsonl, line 1"]
    assert len(taken) == 2


def test_numbers_are_texts() -> None:
    assert TABLE.take([0, 2]).column("label", "task.label") == ["1", "2.0"]


def test_a_missing_column_is_named_beside_those_there() -> None:
    message = "train.jsonl has no column 'intent', its columns are text, label; .* task.label$"
    with pytest.raises(BadInput, match=message):
        TABLE.column("intent", "task.label")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("label", "train.jsonl, line 2: column 'label' holds nothing"),
        ("text", "train.jsonl, line 4: column 'text' holds a list"),
    ],
)
def test_a_cell_that_is_no_text_is_refused_with_its_line(column: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        TABLE.column(column, "task.text")
