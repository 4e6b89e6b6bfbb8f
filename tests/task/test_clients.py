"""One data set divided among clients."""

from collections import Counter

import pytest

from mpiedge.errors import BadInput
from mpiedge.task.clients import Division, divide

LABELS = [float(i * 7 % 3) for i in range(90)]


@pytest.mark.parametrize("way", ["iid", "dirichlet", "label"])
@pytest.mark.parametrize("clients", [1, 2, 5, 9])
def test_every_example_goes_to_one_client(way: str, clients: int) -> None:
    parts = divide(LABELS, clients, Division(way, 0.5, seed=3))
    assert len(parts) == clients
    assert sorted(i for part in parts for i in part) == list(range(90))
    assert all(part == tuple(sorted(part)) and part for part in parts)
    assert parts == divide(LABELS, clients, Division(way, 0.5, seed=3))
    assert clients == 1 or parts != divide(LABELS, clients, Division(way, 0.5, seed=4))


def test_iid_is_even_and_by_label_is_not() -> None:
    for way, most in (("iid", 24), ("label", 1)):
        parts = divide(LABELS, 3, Division(way, 0.5, seed=0))
        assert [len(part) for part in parts] == [30, 30, 30]
        seen = [len({LABELS[i] for i in part}) for part in parts]
        assert seen == ([3, 3, 3] if way == "iid" else [1, 1, 1])
        assert max(seen) <= most


def test_the_smaller_alpha_the_more_uneven() -> None:
    def unevenness(alpha: float) -> int:
        each = (divide(LABELS, 3, Division("dirichlet", alpha, seed)) for seed in range(10))
        rows = [Counter(LABELS[i] for i in part) for parts in each for part in parts]
        return sum(max(row.values()) - min(row[label] for label in set(LABELS)) for row in rows)

    assert unevenness(0.1) > unevenness(1.0) > unevenness(100.0)


def test_nobody_may_be_left_with_nothing() -> None:
    with pytest.raises(BadInput, match="91 clients cannot share 90 examples"):
        divide(LABELS, 91, Division("iid", 0.5, 0))
    with pytest.raises(BadInput, match=r"task.alpha 0.0001 leaves a client without data"):
        divide(LABELS, 30, Division("dirichlet", 0.0001, 0))
