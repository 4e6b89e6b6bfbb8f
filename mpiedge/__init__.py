"""Fine-tune a transformer over the small machines you own, one MPI rank per device."""

import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from mpiedge.version import VERSION as __version__

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from mpiedge.api import Run, Trained, train

__all__ = ["Run", "Trained", "__version__", "load", "load_adapter", "train"]


def __getattr__(name: str) -> object:
    """What is in ``mpiedge.api``, when it is asked for."""
    if name in ("Run", "Trained", "train"):
        return pkgutil.resolve_name(f"mpiedge.api:{name}")
    raise AttributeError(f"module 'mpiedge' has no attribute {name!r}")


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
