"""Which weights of a model are kept in fewer bits, and in which format: ``model.quantize``.

The frozen linear layers of the blocks take the format that was asked for.  The word embedding is
always in int8, also under int4: it is a third of a small model, a look-up decodes only the rows it
needs, and as the tied output layer it would suffer from four bits.  All else stays as it is:
norms, biases, positions, heads, and whatever is trained.

Everything is plain torch, on any device: on a CPU a layer then costs what it costs unquantised,
within a few per cent, and the kernels of bitsandbytes and torchao were no faster.  Ranks that have
such a kernel and ranks that have none would also not compute the same model.
"""

from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from mpiedge.errors import BadInput
from mpiedge.model.adapter import is_adapter
from mpiedge.model.anatomy import Anatomy
from mpiedge.model.block_codec import INT8, NF4, Format
from mpiedge.model.settings import AdapterSettings, ModelSettings

FORMATS = {"int8": INT8, "int4": NF4}
NONE = "none"


def check_known(quantize: str) -> None:
    """Refuse a value of ``model.quantize`` that is not known."""
    if quantize not in (NONE, *FORMATS):
        known = ", ".join((NONE, *FORMATS))
        raise BadInput(f"model.quantize: {quantize} is not known; choose one of {known}")


def check_frozen(model: ModelSettings, adapter: AdapterSettings) -> None:
    """Refuse fewer bits where every weight is trained."""
    if model.quantize != NONE and adapter.kind == "full":
        raise BadInput(
            f"model.quantize: {model.quantize} is for frozen weights, and with adapter.kind = full "
            "none are; leave model.quantize at none, or choose another adapter.kind"
        )


def format_of(quantize: str, model: Any, anatomy: Anatomy, name: str) -> Format | None:
    """The format that a frozen weight is kept in, given its canonical name; None as it is."""
    path, _, attribute = name.rpartition(".")
    if quantize == NONE or attribute != "weight" or is_adapter(name):
        return None
    module = model.get_submodule(path)
    if module.weight is model.get_input_embeddings().weight:
        return INT8
    blocks = tuple(f"{layer.block}." for layer in anatomy.layers if layer.block)
    is_linear = isinstance(module, nn.Linear | Conv1D)
    return FORMATS[quantize] if is_linear and name.startswith(blocks) else None
