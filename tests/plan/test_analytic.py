"""Counts of whole models against what PAC's paper printed of them, and times from counts."""

import pytest

from mpiedge.plan.analytic import Pace, Plate, beside, counted, own, profiles
from mpiedge.plan.shapes import Shape, Technique
from tests.plan.published_shapes import BART_LARGE, T5_BASE, T5_LARGE

GIB = 2**30
ROWS = 16
FULL, ADAPTERS, LORA, PARALLEL = Technique
PACE = Pace(speed=1e11, launch=1e-4)
SMALL = Shape(64, 128, 4, 2, 2, vocabulary=100)


def total(plate: Plate, field: str) -> float:
    return float(sum(getattr(count, field) for side in counted(plate) for count in side))


@pytest.mark.parametrize(
    ("shape", "forward", "backward"),
    [(T5_BASE, 0.418, 0.837), (BART_LARGE, 0.740, 1.481), (T5_LARGE, 1.480, 2.960)],
)
def test_operations_of_full_tuning_are_those_of_figure_3(
    shape: Shape, forward: float, backward: float
) -> None:
    plate = Plate(shape, FULL)
    assert ROWS * total(plate, "forward") / 1e12 == pytest.approx(forward, rel=0.01)
    assert ROWS * total(plate, "backward") / 1e12 == pytest.approx(backward, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "technique", "both"),
    [
        (T5_BASE, ADAPTERS, 0.853),
        (T5_BASE, LORA, 0.891),
        (BART_LARGE, ADAPTERS, 1.500),
        (BART_LARGE, LORA, 1.560),
        (T5_LARGE, ADAPTERS, 3.059),
        (T5_LARGE, LORA, 3.121),
    ],
)
def test_operations_of_adapters_are_near_those_of_figure_3(
    shape: Shape, technique: Technique, both: float
) -> None:
    plate = Plate(shape, technique)
    counts = total(plate, "forward") + total(plate, "backward")
    assert ROWS * counts / 1e12 == pytest.approx(both, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "weights"), [(T5_BASE, 5_096_448), (BART_LARGE, 9_056_256), (T5_LARGE, 17_717_760)]
)
def test_the_side_network_has_the_published_number_of_weights(shape: Shape, weights: int) -> None:
    assert sum(count.weights for count in beside(Plate(shape, PARALLEL))) == weights


@pytest.mark.parametrize(
    ("technique", "weights", "tuned", "kept", "within"),
    [
        (FULL, 2.75, 2.75, 5.33, 0.10),
        (ADAPTERS, 2.80, 0.05, 4.04, 0.10),
        (LORA, 2.78, 0.035, 4.31, 0.10),
    ],
)
def test_memory_is_near_that_of_table_1(
    technique: Technique, weights: float, tuned: float, kept: float, within: float
) -> None:
    plate = Plate(T5_LARGE, technique, alone=True)
    assert 4 * total(plate, "weights") / GIB == pytest.approx(weights, abs=0.01)
    assert 4 * total(plate, "tuned") / GIB == pytest.approx(tuned, abs=0.005)
    assert 4 * ROWS * total(plate, "kept") / GIB == pytest.approx(kept, rel=within)


def test_a_head_apart_from_the_embedding_has_weights_of_its_own() -> None:
    apart, alone = (Plate(T5_BASE, FULL, alone=alone) for alone in (False, True))
    assert total(apart, "weights") - total(alone, "weights") == 32128 * 768
    assert total(apart, "forward") == total(alone, "forward")


def test_seconds_are_launches_and_operations() -> None:
    plate = Plate(SMALL, LORA)
    for count, layer in zip(own(plate), profiles(plate, PACE, 3), strict=True):
        assert layer.forward_start == pytest.approx(1e-4 * count.forward_launches)
        assert layer.forward - layer.forward_start == pytest.approx(3 * count.forward / 1e11)
        assert layer.backward - layer.backward_start == pytest.approx(3 * count.backward / 1e11)


@pytest.mark.parametrize("technique", list(Technique))
def test_profiles_scale_with_the_rows(technique: Technique) -> None:
    plate = Plate(SMALL, technique)
    for few, many in zip(profiles(plate, PACE, 2), profiles(plate, PACE, 8), strict=True):
        scaled = few.scaled(4)
        assert scaled.forward == pytest.approx(many.forward)
        assert scaled.backward == pytest.approx(many.backward)
        assert (scaled.boundary, scaled.working) == (many.boundary, many.working)
        assert scaled.activation == pytest.approx(many.activation, abs=8)


def test_beside_a_side_network_gradients_pass_through_nothing_else() -> None:
    plate = Plate(SMALL, PARALLEL)
    side = list(beside(plate))
    layers = profiles(plate, PACE, 2)
    for count, layer in list(zip(side, layers, strict=True))[:-1]:
        assert layer.backward - layer.backward_start == pytest.approx(2 * count.backward / 1e11)
        assert layer.tuned == 4 * count.weights
        assert layer.gradient is not None
        assert layer.boundary == 9 * layer.gradient  # width and an eighth of it, against the eighth
    assert layers[-1].backward > layers[-1].backward_start


def test_a_replay_computes_and_holds_the_side_network_alone() -> None:
    plate = Plate(SMALL, PARALLEL)
    for count, layer in list(zip(beside(plate), profiles(plate, PACE, 2), strict=True))[:-1]:
        expected = 1e-4 * count.forward_launches + 2 * count.forward / 1e11
        assert layer.replayed().forward == pytest.approx(expected)
        assert layer.replayed().weights == 4 * count.weights


def test_the_decoder_hands_on_what_the_encoder_made() -> None:
    layers = profiles(Plate(SMALL, FULL), PACE, 2)
    assert layers[1].boundary == 4 * 2 * 128 * 64
    assert layers[3].boundary == 4 * 2 * 129 * 64


@pytest.mark.parametrize("pace", [Pace(0.0, 1e-4), Pace(1e9, -1e-4)])
def test_a_pace_must_be_above_0(pace: Pace) -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        profiles(Plate(SMALL, FULL), pace, 1)
