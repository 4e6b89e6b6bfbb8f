"""The prediction of PAC's Table 2: its form, what is known of it, and that it follows the rows."""

import json
import subprocess
import sys
from functools import lru_cache
from math import log
from pathlib import Path
from statistics import median
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "launch" / "bench" / "published_tables.py"
sys.path.insert(0, str(SCRIPT.parent))

from published.conditions import MODELS, SYSTEMS, TASKS  # noqa: E402
from published.fitting import fitted  # noqa: E402
from published.moving import moved  # noqa: E402
from published.rows import HOURS  # noqa: E402
from published.systems import Case, laid_out, seconds, stored  # noqa: E402

from mpiedge.plan.analytic import Pace  # noqa: E402
from mpiedge.plan.grouping import Group  # noqa: E402
from mpiedge.plan.shapes import Sizes  # noqa: E402

PACE = Pace(speed=1.5e11, launch=1e-4)


@lru_cache
def table() -> dict[str, Any]:
    words = [sys.executable, str(SCRIPT), "--json"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_every_cell_of_the_table_is_there() -> None:
    assert list(table()) == ["t5-base", "bart-large", "t5-large"]
    for techniques in table().values():
        assert {name: tuple(row) for name, row in techniques.items()} == SYSTEMS
        assert all(
            list(row) == list(TASKS) for each in techniques.values() for row in each.values()
        )


def test_what_is_out_of_memory_with_t5_base_is_known() -> None:
    for (technique, system), row in HOURS.items():
        predicted = table()["t5-base"][technique][system]
        assert (None in predicted.values()) is (not row), (technique, system)


def test_hours_of_t5_base_are_near_the_rows_they_were_fitted_to() -> None:
    missed = [
        abs(log(table()["t5-base"][technique][system][task] / value))
        for (technique, system), row in HOURS.items()
        for task, value in row.items()
    ]
    assert median(missed) < 0.12
    assert max(missed) < 0.45


def test_one_device_holds_no_larger_model() -> None:
    for model in ("bart-large", "t5-large"):
        for technique in ("full", "adapters", "lora"):
            assert set(table()[model][technique]["standalone"].values()) == {None}


def test_larger_models_take_longer_and_pac_is_the_fastest() -> None:
    for task in TASKS:
        for technique, system in (("adapters", "ecofl"), ("lora", "ecofl"), ("parallel", "pac")):
            took = [models[technique][system][task] for models in table().values()]
            assert took == sorted(took)
        for models in table().values():
            assert models["parallel"]["pac"][task] < models["adapters"]["ecofl"][task]


def test_a_fit_to_other_rows_is_another_one() -> None:
    rows = [(technique, "fig8a", "forward") for technique in ("full", "adapters")]
    alone = fitted(rows)
    # Full tuning's forward pass: 0.418e12 operations of 16 rows, 0.226 s a row.
    assert 1e11 < alone.speed < 3e11
    assert alone != fitted(rows[:1] + [("lora", "eddl", "mrpc")])


def test_pac_replicates_the_whole_of_t5_base_as_published() -> None:
    layout = laid_out(Case("t5-base", "parallel", "pac"), PACE)
    assert layout is not None
    assert [len(group.ranks) for group in layout.groups] == [8]


def test_what_is_stored_moves_only_between_stages() -> None:
    kept = stored(MODELS["bart-large"], Sizes())
    assert kept == [129 * 4096, *[128 * 4096] * 12, *[4096] * 12]
    whole = Group(tuple(range(8)), range(26), (2,) * 8)
    assert moved((whole,), kept, 1.0) == 0.0
    halves = (
        Group((0, 1, 2, 3), range(13), (4,) * 4),
        Group((4, 5, 6, 7), range(13, 26), (4,) * 4),
    )
    # The four devices that have the encoder's outputs send two of their four examples' away.
    assert moved(halves, kept, 1.0) == 2 * sum(kept[:13])


def test_a_faster_device_takes_less_time() -> None:
    case = Case("t5-base", "lora", "eddl")
    layout = laid_out(case, PACE)
    assert layout is not None
    faster = Pace(2 * PACE.speed, PACE.launch)
    gained = seconds(case, layout, PACE).first - seconds(case, layout, faster).first
    operations = (0.427 + 0.444) / 16 * 1e12  # of an example; two on each device
    assert gained == pytest.approx(2 * operations / 2 / PACE.speed, rel=0.01)
