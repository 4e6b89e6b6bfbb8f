"""Gradients that are summed in 16 bits: half the bytes, and almost the same training."""

from pathlib import Path
from typing import Any

import pytest

from tests.runs import Finished, difference, run, settings

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 1}
PAC: dict[str, dict[str, Any]] = {
    "strategy": {"name": "pac", "groups": ["0,1"]},
    "adapter": {"kind": "parallel", "reduction": 4},
}
SPREAD = [{"strategy": {"name": "data-parallel"}}, PAC]


def summed(run: Finished) -> int:
    """The bytes of sums that ranks sent."""
    return sum(rank["sent"]["collective"]["bytes"] for rank in run.result["ranks"])


@pytest.mark.parametrize("sections", SPREAD, ids=["data-parallel", "pac"])
def test_half_the_bytes_and_nearly_the_same_weights(
    sections: dict[str, dict[str, Any]], bert: Path, requests: Path, tmp_path: Path
) -> None:
    cache = {"folder": str(tmp_path / "cache")}
    wide, narrow = (
        run(
            settings(bert, requests, **sections, training=SGD, cache=cache, comm={"sums": sums}),
            2,
            tmp_path / sums,
        )
        for sums in ("float32", "bfloat16")
    )
    assert 1.8 < summed(wide) / summed(narrow) < 2.2
    assert 0 < difference(wide, narrow) < 0.02


def test_on_one_rank_nothing_is_narrowed(bert: Path, requests: Path, tmp_path: Path) -> None:
    wide, narrow = (
        run(settings(bert, requests, training=SGD, comm={"sums": sums}), 1, tmp_path / sums)
        for sums in ("float32", "bfloat16")
    )
    assert difference(wide, narrow) == 0
