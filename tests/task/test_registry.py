import pytest

from mpiedge.errors import BadInput
from mpiedge.task.registry import RECIPES, recipe

GLUE = ("mrpc", "sst2", "stsb", "rte", "cola", "qnli", "mnli")


def test_every_task_of_glue_knows_its_columns_and_its_place_on_the_hub() -> None:
    assert all(RECIPES[name].text and RECIPES[name].hub_validation for name in GLUE)
    assert RECIPES["mnli"].hub_validation == "validation_matched"
    assert {name for name in GLUE if not RECIPES[name].labels} == {"stsb"}


def test_official_ids() -> None:
    assert recipe("mrpc").labels.index("equivalent") == 1
    assert recipe("sst2").labels.index("positive") == 1
    assert recipe("cola").labels.index("acceptable") == 1
    assert (
        recipe("rte").labels.index("entailment") == recipe("qnli").labels.index("entailment") == 0
    )
    assert recipe("mnli").labels == ("entailment", "neutral", "contradiction")


def test_generic_tasks_bring_no_columns() -> None:
    generic = set(RECIPES) - set(GLUE)
    assert generic == {"classification", "regression", "language", "seq2seq"}
    assert all(RECIPES[name].purpose == name and not RECIPES[name].text for name in generic)


def test_an_unknown_name_is_answered_with_the_near_and_the_known_ones() -> None:
    with pytest.raises(
        BadInput, match="unknown task 'mrcp'; did you mean 'mrpc'\\? known are mrpc,"
    ):
        recipe("mrcp")
    with pytest.raises(BadInput, match="^task.name: unknown task ''; known are mrpc, sst2"):
        recipe("")
