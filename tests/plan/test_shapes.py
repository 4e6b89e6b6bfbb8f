from mpiedge.plan.shapes import Shape, Technique
from tests.plan.published_shapes import BART_LARGE, T5_BASE


def test_layers_are_embedding_blocks_and_head() -> None:
    assert T5_BASE.layers == 26
    assert T5_BASE.bridge == 13


def test_a_side_network_is_narrower_with_as_many_heads_and_no_biases() -> None:
    assert T5_BASE.narrowed(8) == Shape(96, 384, 12, 12, 12, 0, scores=False)
    side = BART_LARGE.narrowed(8)
    assert (side.width, side.heads, side.biased, side.fused_norms) == (128, 16, False, True)


def test_techniques_are_named_as_in_the_tables() -> None:
    assert [one.value for one in Technique] == ["full", "adapters", "lora", "parallel"]
