import pytest

from mpiedge.errors import BadInput
from mpiedge.task.columns import labelled_columns, language_columns, output_columns, texts_of
from mpiedge.task.settings import TaskSettings
from mpiedge.task.table import Table

ANY = TaskSettings()


def table(*columns: str) -> Table:
    return Table("train.tsv", columns, [tuple(name.upper() for name in columns)], [2])


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        (("text", "label"), ("text",), "label"),
        (("question", "sentence", "label"), ("question", "sentence"), "label"),
        (("id", "sentence2", "sentence1", "score"), ("sentence1", "sentence2"), "score"),
        (("sentence", "intent"), ("sentence",), "intent"),
    ],
)
def test_usual_names_of_labelled_text(
    columns: tuple[str, ...], text: tuple[str, ...], label: str
) -> None:
    assert labelled_columns(table(*columns), ANY) == (text, label)


def test_settings_go_before_usual_names() -> None:
    settings = TaskSettings(text=["b"], label="c")
    assert labelled_columns(table("text", "label", "b", "c"), settings) == (("b",), "c")


@pytest.mark.parametrize(
    ("columns", "settings", "text", "label"),
    [
        (("text",), ANY, ("text",), ""),
        (("prompt", "completion"), ANY, ("prompt",), "completion"),
        (("question", "answer"), ANY, ("question",), "answer"),
        (("question", "answer"), TaskSettings(text=["question"]), ("question",), ""),
        (("question", "answer"), TaskSettings(label="answer"), ("question",), "answer"),
        (("a", "b", "c"), TaskSettings(text=["a", "b"], label="c"), ("a", "b"), "c"),
    ],
)
def test_language_is_text_alone_or_prompt_and_completion(
    columns: tuple[str, ...], settings: TaskSettings, text: tuple[str, ...], label: str
) -> None:
    assert language_columns(table(*columns), settings) == (text, label)


@pytest.mark.parametrize(
    ("columns", "settings", "text", "label"),
    [
        (("source", "target"), ANY, ("source",), "target"),
        (("word", "us", "gb"), TaskSettings(text=["word"], label="gb"), ("word",), "gb"),
        (("text", "summary", "source"), TaskSettings(text=["text"]), ("text",), "summary"),
    ],
)
def test_input_and_output(
    columns: tuple[str, ...], settings: TaskSettings, text: tuple[str, ...], label: str
) -> None:
    assert output_columns(table(*columns), settings) == (text, label)


def test_pairs_are_read_in_the_order_of_the_columns_named() -> None:
    rows = table("x", "a", "b")
    columns = labelled_columns(rows, TaskSettings(text=["b", "a"], label="x"))
    assert texts_of(rows, columns) == [("B", "A")]


def test_no_usual_name_found() -> None:
    with pytest.raises(BadInput, match="its columns are utterance, label; .* with task.text$"):
        labelled_columns(table("utterance", "label"), ANY)
    with pytest.raises(BadInput, match="no column label or intent or score, .* with task.label$"):
        labelled_columns(table("text", "class"), ANY)
    with pytest.raises(BadInput, match="are word, us; .* with task.text and task.label$"):
        output_columns(table("word", "us"), TaskSettings(text=["word"]))


def test_three_texts_are_no_pair() -> None:
    with pytest.raises(BadInput, match=r"names 3 columns \(a, b, c\); give one, or two"):
        labelled_columns(table("a", "b", "c", "label"), TaskSettings(text=["a", "b", "c"]))
