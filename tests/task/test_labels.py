import pytest

from mpiedge.errors import BadInput
from mpiedge.task.labels import LabelSet, collect_labels, numbers
from mpiedge.task.table import Table


def table(*labels: str) -> Table:
    return Table("train.tsv", ("label",), [(label,) for label in labels], range(2, 99))


def test_official_labels_are_given_by_name_or_by_id() -> None:
    official = LabelSet(("no", "yes"), by_id=True)
    assert official.ids(table("0", "yes", "1", "no"), "label") == [0, 1, 1, 0]


def test_a_name_goes_before_an_id() -> None:
    assert LabelSet(("1", "0"), by_id=True).ids(table("0", "1"), "label") == [1, 0]


def test_collected_labels_are_names_only() -> None:
    with pytest.raises(BadInput, match="line 3: unknown label '0', the labels are 1, 2"):
        LabelSet(("1", "2")).ids(table("1", "0"), "label")


def test_labels_are_collected_in_a_fixed_order() -> None:
    assert collect_labels(table("b", "a", "b"), "label") == ("a", "b")
    assert collect_labels(table("10", "9", "10"), "label") == ("9", "10")
    assert collect_labels(table("10", "9", "x"), "label") == ("10", "9", "x")


def test_an_empty_label_is_refused_with_its_line() -> None:
    with pytest.raises(BadInput, match="train.tsv, line 3: the label is empty"):
        collect_labels(table("a", "", "b"), "label")


def test_one_label_is_no_classification() -> None:
    with pytest.raises(BadInput, match="every row has the label 'pos'"):
        collect_labels(table("pos", "pos"), "label")


def test_numbers_of_a_regression() -> None:
    assert numbers(table("2.500", "-1e-2", "3"), "label") == [2.5, -0.01, 3.0]


@pytest.mark.parametrize("bad", ["", "high", "nan", "inf", "1,5"])
def test_what_is_no_number_is_refused_with_its_line(bad: str) -> None:
    with pytest.raises(BadInput, match=f"train.tsv, line 3: label '{bad}' is no number"):
        numbers(table("1.0", bad), "label")
