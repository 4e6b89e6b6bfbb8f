"""A model and examples that a Python program has in memory, put where a run file could name them.

They become files in the run's output directory, on every rank by itself and named by what is in
them.  So such a run is like any other: it can be evaluated, used and gone on with when the program
is long gone, and ranks that were given different things are found out as if by their run files.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mpiedge.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Rows = Iterable[Mapping[str, object]]
"""Examples: a mapping from column to text or number each, as a ``datasets.Dataset`` yields them."""

_FOLDER = "inputs"
_SPLITS = {"train", "validation"}


def model_place(
    folder: Path, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase | None"
) -> Path:
    """The folder that a model and its tokenizer were written to."""
    if tokenizer is None:
        raise BadInput("a model was given without its tokenizer; give that too")
    digest = hashlib.blake2b(model.config.to_json_string().encode(), digest_size=8)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for text in sorted(f"{key} {value}" for key, value in tokenizer.get_vocab().items()):
        digest.update(text.encode())

    def write(place: Path) -> None:
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)

    return _written(folder, f"model-{digest.hexdigest()}", write)


def data_place(folder: Path, examples: Mapping[str, Rows]) -> Path:
    """The file or folder that examples were written to, as ``task.data`` names it.

    A tenth of the training examples validates where no others are given for that.
    """
    if not {"train"} <= set(examples) <= _SPLITS:
        raise BadInput(
            f"examples has {', '.join(sorted(examples)) or 'nothing'}; give train, and validation "
            f"if there are some for that"
        )
    texts = {split: _lines(rows, split) for split, rows in examples.items()}
    made = repr(sorted(texts.items())).encode()
    name = f"data-{hashlib.blake2b(made, digest_size=8).hexdigest()}"

    def write(place: Path) -> None:
        place.mkdir(parents=True)
        for split, text in texts.items():
            (place / f"{split}.jsonl").write_text(text, encoding="utf-8")

    place = _written(folder, name, write)
    return place if "validation" in texts else place / "train.jsonl"


def _lines(rows: Rows, split: str) -> str:
    """The rows as JSON lines; raises BadInput for a row that is none."""
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(json.dumps(dict(row), ensure_ascii=False))
        except (TypeError, ValueError):
            raise BadInput(
                f"example {number} of {split} is {row!r:.80}; give a mapping from column to text "
                f"or number"
            ) from None
    if not found:
        raise BadInput(f"there are no {split} examples; give some")
    return "\n".join([*found, ""])


def _written(folder: Path, name: str, write: Callable[[Path], Any]) -> Path:
    """The folder of that name, whole, also where several ranks of one machine make it at once."""
    place = folder / _FOLDER / name
    if place.is_dir():
        return place
    part = place.with_name(f"{name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        write(part)
        part.rename(place)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if not place.is_dir():  # else another rank was first
            raise BadInput(f"{place} cannot be written: {error.strerror}") from None
    for old in place.parent.glob(f"{name.partition('-')[0]}-*"):
        if old != place and not old.name.endswith(".part"):
            shutil.rmtree(old, ignore_errors=True)
    return place
