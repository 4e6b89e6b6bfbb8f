import io
from collections.abc import Callable

import pytest

from mpiedge.cli.inputs import inputs
from mpiedge.errors import BadInput


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    def type_in(text: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return text

    return type_in


def test_a_text_or_a_pair_on_the_command_line() -> None:
    assert inputs(("one",), 1) == [("one",)]
    assert inputs(("one", "two"), 2) == [("one", "two")]
    assert inputs(("one", "two"), 0) == [("one", "two")]


@pytest.mark.parametrize(
    ("texts", "width", "said"),
    [
        (("hello", "there"), 1, "gives 2 texts, and this model takes one text; quote each text"),
        (("hello",), 2, "gives 1 text, and this model takes a pair of texts"),
        (("a", "b", "c"), 0, "gives 3 texts, and this model takes one text or a pair"),
        (("caf\udce9",), 1, r"is not UTF-8 \(byte 0xe9\); convert it"),
    ],
)
def test_what_does_not_fit_the_model_is_bad_input(
    texts: tuple[str, ...], width: int, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        inputs(texts, width)


def test_lines_of_the_standard_input(typed: Callable[[str], str]) -> None:
    typed('one\r\na\tb\n["c", "d"]\n["e"]\n')
    assert inputs((), 0) == [("one",), ("a", "b"), ("c", "d"), ("e",)]


@pytest.mark.parametrize(
    ("line", "width", "said"),
    [
        ("a\tb\tc", 0, "line 1 gives 3 texts"),
        ("a\tb", 1, "line 1 gives 2 texts, and this model takes one text"),
        ("[turn off] the light", 1, r"begins with '\[' .* write .* as \[\"\[turn off\] the light"),
        ("[1, 2]", 0, "has to be a JSON list of texts"),
        ("", 0, "nothing to predict"),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    typed: Callable[[str], str], line: str, width: int, said: str
) -> None:
    typed(line)
    with pytest.raises(BadInput, match=said):
        inputs((), width)
