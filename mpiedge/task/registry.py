"""The tasks that mpiedge knows by name.

GLUE is data: columns, label names in the order of the official ids, and the official metric.  The
four generic names have no columns or labels of their own: a run file or the data gives them.
"""

import difflib
from dataclasses import dataclass

from mpiedge.errors import BadInput
from mpiedge.task.metrics import (
    Metric,
    accuracy,
    accuracy_and_f1,
    accuracy_and_macro_f1,
    correlations,
    matthews,
)


@dataclass(frozen=True)
class Recipe:
    """What is known of a task before its data is seen."""

    purpose: str
    metric: Metric = accuracy
    text: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    hub_validation: str = ""  # empty: not on the hub


def _glue(
    text: tuple[str, ...], labels: tuple[str, ...], metric: Metric, validation: str = "validation"
) -> Recipe:
    purpose = "classification" if labels else "regression"
    return Recipe(purpose, metric, text, labels, validation)


SENTENCES = ("sentence1", "sentence2")
ENTAILMENT = ("entailment", "not_entailment")
THREE_WAYS = ("entailment", "neutral", "contradiction")

RECIPES = {
    "mrpc": _glue(SENTENCES, ("not_equivalent", "equivalent"), accuracy_and_f1),
    "sst2": _glue(("sentence",), ("negative", "positive"), accuracy),
    "stsb": _glue(SENTENCES, (), correlations),
    "rte": _glue(SENTENCES, ENTAILMENT, accuracy),
    "cola": _glue(("sentence",), ("unacceptable", "acceptable"), matthews),
    "qnli": _glue(("question", "sentence"), ENTAILMENT, accuracy),
    "mnli": _glue(("premise", "hypothesis"), THREE_WAYS, accuracy, "validation_matched"),
    "classification": Recipe("classification", accuracy_and_macro_f1),
    "regression": Recipe("regression", correlations),
    "language": Recipe("language"),
    "seq2seq": Recipe("seq2seq"),
}


def recipe(name: str) -> Recipe:
    """The task of that name."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise BadInput(f"task.name: unknown task {name!r}; {meant}known are {', '.join(RECIPES)}")
