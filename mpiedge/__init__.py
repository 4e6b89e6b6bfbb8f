"""Fine-tune a transformer over the small machines you own, one MPI rank per device."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__version__ = "0.1.0"
__all__ = ["__version__", "load", "load_adapter"]


def load(backbone: str | Path, adapter: str | Path, device: str = "cpu") -> "PreTrainedModel":
    """The model ``backbone``, named as ``model.name`` is, with an adapter that mpiedge saved.

    An ``nn.Module`` that is called as transformers' models are, and gives what they give.
    """
    # The command line should not wait for torch when it only prints its help.
    from mpiedge.model.tuned_model import load_tuned  # noqa: PLC0415

    return load_tuned(backbone, adapter, device)


def load_adapter(model: "PreTrainedModel", folder: str | Path) -> "PreTrainedModel":
    """Put an adapter that mpiedge saved into the transformers model it was trained on."""
    from mpiedge.model.restore import load_adapter  # noqa: PLC0415

    return load_adapter(model, folder)
