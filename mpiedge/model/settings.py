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
        "hold the frozen weights in fewer bits; this version has none only",
        choices=("none", "int8", "int4"),
    )


@dataclass(frozen=True)
class AdapterSettings:
    """What is trained."""

    kind: str = setting(
        "lora",
        "lora: low-rank updates through PEFT; bottleneck: Houlsby or Pfeiffer adapters; parallel: "
        "a side network, not in this version; full: every weight",
        choices=("lora", "bottleneck", "parallel", "full"),
    )
    r: int = setting(8, "lora: rank of the update")
    alpha: int = setting(16, "lora: the update is scaled by alpha / r")
    dropout: float = setting(0.0, "lora, bottleneck: dropout before the down-projection")
    target_modules: list[str] = setting(
        [], "lora: names of the linear layers that get an update; left out: the family's usual ones"
    )
    bottleneck: int = setting(64, "bottleneck: width of the adapter")
    placement: str = setting(
        "pfeiffer",
        "bottleneck: pfeiffer after each feed-forward part, houlsby also after each attention",
        choices=("pfeiffer", "houlsby"),
    )
    activation: str = setting(
        "gelu", "bottleneck: the function between the projections", choices=("gelu", "relu", "silu")
    )
