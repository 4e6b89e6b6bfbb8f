"""Below which block a split model is frozen."""

import pytest

from mpiedge.errors import BadInput
from mpiedge.strategy.depth import lowest_of
from mpiedge.strategy.settings import StrategySettings


@pytest.mark.parametrize(
    ("cuts", "given", "last", "lowest"),
    [
        ([], 0, 11, 4),  # 3 of GPT-2's 12 blocks, as SplitLoRA's code cuts it
        ([], 0, 5, 2),
        ([], 0, 1, 2),
        ([], 7, 11, 7),
        ([2, 5, 1], 0, 11, 6),
        ([2, 5, 1], 9, 11, 9),
        ([11], 0, 11, 12),
    ],
)
def test_the_lowest_block_with_an_adapter(
    cuts: list[int], given: int, last: int, lowest: int
) -> None:
    assert lowest_of(StrategySettings(cuts=cuts), given, last) == lowest


@pytest.mark.parametrize(
    ("cuts", "given", "said"),
    [
        ([2, 6], 0, r"strategy.cuts \[2, 6\] has 6; a cut is at least 1 and at most 5"),
        ([0], 0, r"strategy.cuts \[0\] has 0"),
        ([-1], 0, r"strategy.cuts \[-1\] has -1"),
        ([4], 3, r"has 4, but adapters begin at block 3 .* raise adapter.lowest to 5"),
        ([], 1, r"adapter.lowest 1 leaves devices no frozen block .* from 2 to 6"),
        ([], 7, r"adapter.lowest 7 leaves devices no frozen block"),
    ],
)
def test_what_does_not_fit(cuts: list[int], given: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        lowest_of(StrategySettings(cuts=cuts), given, 5)


def test_one_block_cannot_be_split() -> None:
    with pytest.raises(BadInput, match="a model of one block cannot be split"):
        lowest_of(StrategySettings(), 0, 0)
