"""The sections ``[model]`` and ``[adapter]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class ModelSettings:
    """Which pretrained model is fine-tuned, and how its frozen weights are held."""

    name: str = setting(
        "",
        "a folder in the Hugging Face format, a .gguf file, a hub id, or package:NAME/FOLDER for a "
        "model that an installed Python package carries",
    )
    dtype: str = setting(
        "float32",
        "number format of the frozen weights and of the activations; tuned weights are float32",
        choices=("float32", "bfloat16", "float16"),
    )
    quantize: str = setting(
        "none",
        "hold the frozen linear layers of the blocks in 8 bits, or in 4 (NF4), and the word "
        "embedding in 8; for any adapter.kind but full",
        choices=("none", "int8", "int4"),
    )


@dataclass(frozen=True)
class AdapterSettings:
    """What is trained."""

    kind: str = setting(
        "lora",
        "lora: low-rank updates through PEFT; bottleneck: Houlsby or Pfeiffer adapters; parallel: "
        "a small network beside the frozen model; full: every weight",
        choices=("lora", "bottleneck", "parallel", "full"),
    )
    lowest: int = setting(
        0,
        "lora, bottleneck: the lowest block with an adapter, 1 being the first; what is below is "
        "at rest, without dropout; 0: all have one, with strategy split those above the cut",
        least=0,
    )
    r: int = setting(8, "lora: rank of the update", most=65536)
    alpha: int = setting(16, "lora: the update is scaled by alpha / r")
    dropout: float = setting(
        0.0,
        "lora, bottleneck: dropout before the down-projection; parallel: dropout wherever the "
        "family has any, in the side network only",
    )
    target_modules: list[str] = setting(
        [], "lora: names of the linear layers that get an update; left out: the family's usual ones"
    )
    bottleneck: int = setting(64, "bottleneck: width of the adapter", most=65536)
    placement: str = setting(
        "pfeiffer",
        "bottleneck: pfeiffer after each feed-forward part, houlsby also after each attention",
        choices=("pfeiffer", "houlsby"),
    )
    activation: str = setting(
        "gelu", "bottleneck: the function between the projections", choices=("gelu", "relu", "silu")
    )
    reduction: int = setting(
        8, "parallel: every width of the side network is the model's divided by this", least=1
    )
    heads: int = setting(
        0,
        "parallel: heads of attention in each block of the side network, made of neighbouring "
        "heads of the model's and wider for it; the model's number is as published; 0: as many as "
        "are 16 numbers wide or more, else as few as there can be",
        least=0,
    )
    form: str = setting(
        "A",
        "parallel: how a layer of the model enters the side network's; A: weighed by a trained "
        "gate, B: added",
        choices=("A", "B"),
    )
    likeness: bool = setting(
        True,
        "parallel: whether the side network is told, of every token and layer, how like it is to "
        "another token of its row; false is as published",
    )
    merge: str = setting(
        "auto",
        "parallel: what the head sees; none: the side network's output, add: the model's own with "
        "the side network's added to it, gate: both, weighed for each feature by a trained gate, "
        "auto: none for a head that is new, gate for the model's own",
        choices=("auto", "none", "add", "gate"),
    )
    initial: str = setting(
        "plain",
        "parallel: first values of the side network; magnitude: the model's weights pruned to "
        "their largest, fisher: to those with the largest gradients, plain: drawn",
        choices=("magnitude", "fisher", "plain"),
    )
