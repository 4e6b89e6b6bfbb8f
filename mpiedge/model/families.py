"""The families mpiedge can cut: a new one is one line here and a file of its own."""

from mpiedge.errors import BadInput
from mpiedge.model.bart import BART
from mpiedge.model.bert import BERT, ROBERTA
from mpiedge.model.family import Family, Head
from mpiedge.model.gpt2 import GPT2
from mpiedge.model.llama import LLAMA
from mpiedge.model.purpose import Purpose
from mpiedge.model.t5 import T5

FAMILIES = {family.name: family for family in (BERT, ROBERTA, GPT2, LLAMA, T5, BART)}


def family_of(model_type: str, name: str) -> Family:
    """The family of a model; ``name`` is how the user called the model."""
    if model_type not in FAMILIES:
        raise BadInput(
            f"model.name: {name} is of the family {model_type}; "
            f"choose a model of one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[model_type]


def head_of(family: Family, purpose: Purpose) -> Head:
    """The end of a family's models for a purpose; not every family has one for each."""
    if purpose not in family.heads:
        able = [each.name for each in FAMILIES.values() if purpose in each.heads]
        raise BadInput(
            f"task: a model of the family {family.name} has no head for {purpose.value}; "
            f"choose a model of one of {', '.join(able)}"
        )
    return family.heads[purpose]
