"""Which record has an example's layers."""

import random
from pathlib import Path

import pytest

from mpiedge.store.index import Index, bits, entries
from mpiedge.store.record import Label, Record
from mpiedge.store.segment import Segment


def segment(name: str, *parts: tuple[int, int, int]) -> Segment:
    """Records of (example, first layer, stop)."""
    records = [Record(Label(*part, 1, 1), 0, 0, 0, 8) for part in parts]
    return Segment(Path(name), "", (0,), tuple(records))


def chosen(index: Index, example: int, layers: range) -> list[tuple[int, int]] | None:
    found = index.choose(example, layers)
    if found is None:
        return None
    return sorted((one.record.label.first, one.record.label.stop) for one in found)


@pytest.fixture
def index() -> Index:
    made = Index()
    made.add(entries(segment("a", (7, 0, 3), (7, 3, 6), (8, 0, 6))))
    made.add(entries(segment("b", (7, 5, 9), (3, 2, 4))))
    return made


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (range(9), [(0, 3), (3, 6), (5, 9)]),
        (range(3), [(0, 3)]),
        (range(5, 6), [(5, 9)]),  # the newest
        (range(4, 6), [(3, 6), (5, 9)]),
        (range(9, 10), None),
        (range(2, 2), []),
    ],
)
def test_records_that_have_layers_together(
    layers: range, expected: list[tuple[int, int]] | None, index: Index
) -> None:
    assert chosen(index, 7, layers) == expected


def test_complete_examples(index: Index) -> None:
    assert index.complete(range(6)) == [7, 8]
    assert index.complete(range(2, 4)) == [3, 7, 8]
    assert index.complete(range(9)) == [7]
    assert index.complete(range(10)) == []


def test_an_example_that_never_was(index: Index) -> None:
    assert index.of(99) == ()
    assert index.choose(99, range(1)) is None
    assert index.remove([99]) == []


def test_removing_and_forgetting(index: Index) -> None:
    gone = index.remove([7])
    assert [entry.segment.path.name for entry in gone] == ["a", "a", "b"]
    assert index.complete(range(2, 4)) == [3, 8]
    index.forget(index.of(8))
    assert index.complete(range(2, 4)) == [3]


def test_random_covers_equal_sets() -> None:
    dice = random.Random(3)
    for _ in range(200):
        parts = [sorted(dice.sample(range(10), 2)) for _ in range(dice.randrange(5))]
        index = Index()
        index.add(entries(segment("a", *((1, first, stop) for first, stop in parts))))
        wanted = range(*sorted(dice.sample(range(11), 2)))
        there = {layer for first, stop in parts for layer in range(first, stop)}
        found = chosen(index, 1, wanted)
        assert (found is not None) == (set(wanted) <= there)
        if found is not None:
            assert set(wanted) <= {layer for one in found for layer in range(*one)}


@pytest.mark.parametrize(
    ("layers", "expected"), [(range(3), 0b111), (range(2, 5), 0b11100), (range(4, 4), 0)]
)
def test_layers_as_bits(layers: range, expected: int) -> None:
    assert bits(layers) == expected
