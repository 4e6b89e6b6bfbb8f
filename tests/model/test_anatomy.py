"""Names to layers: by the modules a name lies in, and by the other names of a tied weight."""

import pytest

from mpiedge.model.anatomy import Anatomy, aliases, dissect
from mpiedge.model.families import FAMILIES, head_of
from mpiedge.model.purpose import Purpose
from tests.models import tiny_model


def anatomy(family: str, purpose: Purpose) -> Anatomy:
    return dissect(FAMILIES[family], head_of(FAMILIES[family], purpose), tiny_model(family))


def test_the_row_of_a_decoder() -> None:
    found = anatomy("gpt2", Purpose.LANGUAGE)
    assert [layer.block for layer in found.layers] == [
        None,
        "transformer.h.0",
        "transformer.h.1",
        None,
    ]
    assert found.layers[0].modules == ("transformer.wte", "transformer.wpe")
    assert found.layers[-1].modules == ("transformer.ln_f", "lm_head")
    assert found.entrances == (0,)


def test_the_row_of_an_encoder_and_a_decoder() -> None:
    found = anatomy("t5", Purpose.SEQ2SEQ)
    table = "block.0.layer.0.SelfAttention.relative_attention_bias"
    assert found.entrances == (0, 3)
    assert found.layers[2].modules == ("encoder.block.1", f"encoder.{table}")
    assert found.layers[3].modules == ("encoder.final_layer_norm", "decoder.embed_tokens")
    assert found.layers[6].modules == ("decoder.block.2", f"decoder.{table}")


def test_tied_weights_are_known_by_all_their_names() -> None:
    found = anatomy("bart", Purpose.SEQ2SEQ)
    others = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    assert found.ties == {"model.shared.weight": (*others, "lm_head.weight")}
    assert found.names("model.shared.weight")[0] == "model.shared.weight"
    assert found.names("lm_head.bias") == ("lm_head.bias",)
    assert found.layers_of("model.shared.weight") == (0, 3, 7)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("transformer.h.1.ln_1.bias", (2,)),
        ("transformer.h.1", (2,)),
        ("transformer.h.10.ln_1.bias", ()),
        ("transformer.wte.weight", (0, 3)),
        ("transformer", ()),
    ],
)
def test_layers_of_names(name: str, layers: tuple[int, ...]) -> None:
    assert anatomy("gpt2", Purpose.LANGUAGE).layers_of(name) == layers


def test_aliases_are_under_the_first_name() -> None:
    found = aliases(tiny_model("gpt2"))
    assert found["transformer.wte.weight"] == ("transformer.wte.weight", "lm_head.weight")
    assert found["transformer.wpe.weight"] == ("transformer.wpe.weight",)
    assert "lm_head.weight" not in found
