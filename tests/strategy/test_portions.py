import pytest

from mpiedge.strategy.portions import apportion, deal, turns


@pytest.mark.parametrize("total", [3, 4, 7, 20])
@pytest.mark.parametrize("shares", [[1, 1, 1], [5, 1, 1], [0.01, 1, 1], [100, 1, 1]])
def test_apportioning_gives_everything_away_and_one_to_each(
    total: int, shares: list[float]
) -> None:
    counts = apportion(total, shares)
    assert sum(counts) == total
    assert min(counts) >= 1


def test_apportioning_is_in_proportion() -> None:
    assert apportion(10, [1, 2, 2]) == (2, 4, 4)
    with pytest.raises(ValueError, match="2 things"):
        apportion(2, [1, 1, 1])


def test_turns_are_dealt_out_evenly() -> None:
    assert deal((2, 2)) == (0, 1, 0, 1)
    assert deal((3, 1)) == (0, 0, 1, 0)
    assert turns((1, 2)) == ((0.5, 0), (0.25, 1), (0.75, 1))
