"""A finished run as a folder that plain transformers loads: model, tokenizer, labels, model card.

Done by one process without MPI.  The folder is filled beside its place and renamed, so there is a
whole one or none.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.model.merge import check_mergeable, merge
from mpiedge.model.purpose import Purpose
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.model.tuned_model import load_tuned
from mpiedge.run.card import card
from mpiedge.run.output import replace_text
from mpiedge.run.reopening import settings_of
from mpiedge.task.registry import recipe


def export(folder: Path, place: Path, *, base: str = "") -> Path:
    """Write the model that the run in ``folder`` made to ``place``, which must not be there yet.

    ``base`` is where its pretrained model lies now, if no longer where it was.  Raises BadInput
    for an adapter that cannot be merged, and where anything is missing or cannot be written.  A
    model that was quantised while it was trained is written in float32, as it was before.
    """
    settings = settings_of(folder, [f"model.name={json.dumps(base)}"] if base else [])
    adapter, name = folder / "adapter", settings.model.name
    check_mergeable(settings.adapter, name, str(adapter))
    _check_free(place)
    tokenizer = open_tokenizer(name)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise BadInput(
            f"{name} reads letters, for which transformers has no tokenizer; use the result with "
            f"mpiedge predict {folder}, or in Python with mpiedge.load({name!r}, {str(adapter)!r})"
        )
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    purpose = Purpose(recipe(settings.task.name).purpose)
    model = _labelled(merge(load_tuned(name, adapter)), purpose, result["labels"])
    beside = place.with_name(f".{place.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        replace_text(beside / "README.md", card(settings, result, purpose))
        beside.rename(place)
    except OSError as error:
        raise BadInput(f"cannot write to {place}: {error.strerror}; choose another") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return place


def _check_free(place: Path) -> None:
    if place.exists():
        raise BadInput(f"{place} is there already; name a folder that is not")


def _labelled(model: PreTrainedModel, purpose: Purpose, labels: Sequence[str]) -> PreTrainedModel:
    """The model with what its outputs stand for in its configuration."""
    if labels:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: number for number, label in enumerate(labels)}
    if purpose is Purpose.REGRESSION:
        model.config.problem_type = "regression"
    return model
