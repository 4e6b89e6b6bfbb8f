"""A pretrained model and an adapter that was trained for it, as one model ready for use.

The model is found where ``model.name`` of a run file would find it, also in a .gguf file or in an
installed package.  The result is transformers' own model, called as transformers' models are.
"""

import re
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.blueprint import Blueprint, Found, build_model, find_model
from mpiedge.model.families import head_of
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.restore import Saved, check_tensors, read_adapter, whole_names
from mpiedge.model.settings import ModelSettings
from mpiedge.model.side_forward import run_beside

_PURPOSES = {
    "ForSequenceClassification": Purpose.CLASSIFICATION,
    "ForCausalLM": Purpose.LANGUAGE,
    "LMHeadModel": Purpose.LANGUAGE,
    "ForConditionalGeneration": Purpose.SEQ2SEQ,
}
"""What a model is for, by the end of its class's name in transformers."""


def load_tuned(
    backbone: str | Path, folder: str | Path, device: torch.device | str = "cpu"
) -> PreTrainedModel:
    """The model called ``backbone`` with the adapter in ``folder``, for evaluation, in float32.

    The adapter is of any kind; fully tuned weights bring all of the model, and of the backbone
    only the configuration is looked at.  Raises BadInput where the two do not belong together.
    """
    saved = read_adapter(Path(folder))
    found = find_model(ModelSettings(name=str(backbone)))
    purpose = saved.purpose or _purpose(saved, folder)
    blueprint = build_model(found, purpose, _num_labels(found, purpose, saved))
    model: PreTrainedModel = blueprint.model
    if saved.architecture not in {"", type(model).__name__}:
        raise BadInput(
            f"{folder}: this adapter was trained in a {saved.architecture}, {backbone} becomes a "
            f"{type(model).__name__}; name the backbone that it was trained on"
        )
    saved = saved._replace(heads=whole_names(model, saved.heads))
    inject(model, saved.settings, blueprint.family.name, saved.heads)
    check_tensors(model, saved, str(folder))
    tuned = tuned_names(model, saved.settings, saved.heads)
    layers = range(blueprint.num_layers)
    load(blueprint, layers, device, tuned=tuned, values=saved.tensors)
    _complete(blueprint, purpose)
    if saved.settings.kind == "parallel":
        run_beside(blueprint, purpose)
    return model.eval()


def _purpose(saved: Saved, folder: str | Path) -> Purpose:
    for ending, purpose in _PURPOSES.items():
        if saved.architecture.endswith(ending):
            return purpose
    raise BadInput(
        f"{folder}: its model is a {saved.architecture or 'model of no class'}, which answers "
        f"nothing; it can be one for {', '.join(_PURPOSES)}"
    )


def _num_labels(found: Found, purpose: Purpose, saved: Saved) -> int:
    """How many outputs the head has, which is written nowhere but in its shape."""
    if purpose.generates:
        return 0
    trained = "|".join(map(re.escape, head_of(found.family, purpose).trained))
    last = re.compile(rf"({trained})(\.out_proj)?\.weight")
    return next((len(each) for name, each in saved.tensors.items() if last.fullmatch(name)), 1)


def _complete(blueprint: Blueprint, purpose: Purpose) -> None:
    """What transformers reads when it loads a model, beside its weights."""
    model, source = blueprint.model, blueprint.source
    if not purpose.generates and model.config.pad_token_id is None:
        # Rows are padded with the end then, and transformers must know to find their last token.
        model.config.pad_token_id = model.config.eos_token_id
    if purpose.generates and source.gguf is None:
        try:
            model.generation_config = GenerationConfig.from_pretrained(source.place)
        except OSError:
            return
