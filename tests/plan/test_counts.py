"""Counts by hand, for parts small enough to write out."""

import pytest

from mpiedge.plan.counts import (
    Count,
    Tuning,
    attention,
    bottleneck,
    feed_forward,
    norm,
    product,
)
from mpiedge.plan.shapes import Shape

SMALL = Shape(width=4, inner=8, heads=2, encoder=1, decoder=1, vocabulary=10)
BIASED = Shape(4, 8, 2, 1, 1, 10, biased=True, fused_norms=True)
FROZEN, FULL = Tuning(), Tuning(weights=True, norms=True)


def test_counts_add_up_part_by_part() -> None:
    one = Count(1.0, 2.0, 3, 4, 5, 6, 7.0)
    assert one + one == Count(2.0, 4.0, 6, 8, 10, 12, 14.0)
    assert one + Count() == one


def test_a_tuned_product_takes_twice_as_much_backward() -> None:
    tuned = product(3, 4, 5, tuned=True)
    assert tuned == Count(120.0, 240.0, 1, 2, weights=20, tuned=20)
    assert product(3, 4, 5, tuned=False) == Count(120.0, 120.0, 1, 1, weights=20)
    assert product(3, 4, 5, tuned=True, biased=True).tuned == 25


def test_a_norm_of_six_operations_keeps_its_result_only_if_it_is_tuned() -> None:
    assert norm(SMALL, 3, tuned=False) == Count(0, 0, 6, 6, weights=4, kept=12)
    assert norm(SMALL, 3, tuned=True) == Count(0, 0, 6, 7, weights=4, tuned=4, kept=24)
    assert norm(BIASED, 3, tuned=True) == Count(0, 0, 1, 2, weights=8, tuned=8, kept=12)


def test_attention_counts_four_matrices_and_two_products_of_tokens() -> None:
    count = attention(SMALL, 3, 3, FROZEN)
    assert count.forward == 4 * 2 * 3 * 16 + 2 * 2 * 3 * 3 * 4
    assert count.backward == 4 * 2 * 3 * 16 + 2 * 2 * 2 * 3 * 3 * 4
    assert (count.weights, count.tuned) == (4 * 16 + 4, 0)
    # the norm's input; queries, keys and values; scores twice with a mask; the last mask
    assert count.kept == 12 + 36 + 2.25 * 18 + 3


def test_attention_to_another_text_makes_keys_and_values_of_its_tokens() -> None:
    count = attention(SMALL, 1, 5, FROZEN)
    assert count.forward == 2 * 16 * (2 * 1 + 2 * 5) + 4 * 1 * 5 * 4
    assert count.kept == 4 + (1 + 10) * 4 + 2.25 * 10 + 1


def test_what_is_tuned_keeps_its_inputs() -> None:
    more = attention(SMALL, 3, 3, FULL).kept - attention(SMALL, 3, 3, FROZEN).kept
    assert more == 12 + 24  # the norm's result for its weight; inputs of the matrices
    more = feed_forward(SMALL, 3, FULL).kept - feed_forward(SMALL, 3, FROZEN).kept
    assert more == 12 + 12 + 24


def test_feed_forward_by_hand() -> None:
    count = feed_forward(BIASED, 3, FULL)
    assert (count.forward, count.backward) == (2 * 2 * 3 * 32, 2 * 2 * 2 * 3 * 32)
    assert count.weights == count.tuned == 2 * 32 + 8 + 4 + 8
    assert count.kept == 12 + 3 * (2.25 * 8 + 1.25 * 4)


def test_a_bottleneck_adds_two_small_products() -> None:
    count = bottleneck(4, 3, 2)
    assert count.weights == count.tuned == 2 * 8 + 2 + 4
    assert (count.forward, count.backward) == (96.0, 192.0)
    assert bottleneck(4, 3, 0) == Count()


@pytest.mark.parametrize("rank", [1, 2])
def test_lora_tunes_queries_and_values_alone(rank: int) -> None:
    plain = attention(SMALL, 1, 5, FROZEN)
    lora = attention(SMALL, 1, 5, Tuning(rank=rank))
    assert lora.tuned == lora.weights - plain.weights == 2 * 2 * 4 * rank
    assert lora.forward - plain.forward == 2 * (1 + 5) * 2 * 4 * rank
    assert lora.backward - plain.backward == 2 * (lora.forward - plain.forward)
