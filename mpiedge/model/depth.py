"""How deep adapters reach: blocks below a depth stay bare.

Apart from the kinds of adapters, because which blocks are below is the same question for all.
"""

from transformers import PreTrainedModel

from mpiedge.errors import BadInput
from mpiedge.model.anatomy import row
from mpiedge.model.families import family_of


def bare(model: PreTrainedModel, family: str, lowest: int) -> tuple[str, ...]:
    """The names of the blocks below layer ``lowest``; raises BadInput where none is above.

    Layers are counted as everywhere: 0 is the embedding, 1 the first block.
    """
    if lowest <= 1:
        return ()
    backbone = model.base_model
    prefix = "" if backbone is model else f"{model.base_model_prefix}."
    blocks = [block for _, block in row(family_of(family, family), backbone)]
    last = max(layer for layer, block in enumerate(blocks) if block is not None)
    if lowest > last:
        raise BadInput(
            f"adapter.lowest {lowest} is above the model's last block, {last}; set it to {last} or "
            f"less"
        )
    return tuple(prefix + block for block in blocks[:lowest] if block is not None)
