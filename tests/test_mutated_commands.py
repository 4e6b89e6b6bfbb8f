"""Commands that are given damaged files, as the fault campaign does it, a hundred times."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "launch" / "bench" / "faults" / "mutated.py"
KINDS = {"run file", "hostfile", "cluster file", "data", "adapter", "checkpoint", "cache"}


def mutated(*words: str) -> subprocess.CompletedProcess[str]:
    line = (sys.executable, str(SCRIPT), *words)
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=240)


def test_each_is_refused_in_a_line_or_works(tmp_path: Path) -> None:
    done = mutated("--count", "105", "--seed", "4", "--output", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, int]] = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == KINDS
    for kind, became in found.items():
        assert set(became) <= {"refused", "worked"}, kind
        assert sum(became.values()) == 15
    # a damaged cache is recorded again, and so is never a reason to end
    assert found["cache"] == {"worked": 15}
    assert all(found[kind]["refused"] for kind in KINDS - {"cache"})


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import mutated as module  # noqa: PLC0415 - it lies beside the benchmarks

    return module


@pytest.mark.parametrize(
    ("code", "said", "became"),
    [
        (0, "", "worked"),
        (2, "mpiedge: no such file\n", "refused"),
        (2, "mpiedge: one\nmpiedge: two\n", "many lines"),
        (2, "", "many lines"),
        (1, "mpiedge: no\n", "exit code 1"),
        (2, "Traceback (most recent call last):\nmpiedge: no\n", "traceback"),
        (1, "mpiedge: KeyError: 'x'; not foreseen: its trace is in /tmp/t.txt\n", "traceback"),
    ],
)
def test_what_counts_as_dealt_with(
    code: int, said: str, became: str, campaign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(words: tuple[str, ...], *, speaks: bool) -> int:
        sys.stderr.write(said)
        return code

    monkeypatch.setattr(campaign, "run", command)
    assert campaign.outcome(())[0] == became


def test_what_raises_or_hangs_is_noticed(campaign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(words: tuple[str, ...], *, speaks: bool) -> int:
        raise KeyError("x")

    monkeypatch.setattr(campaign, "run", raises)
    assert campaign.outcome(())[0] == "traceback"

    def hangs(words: tuple[str, ...], *, speaks: bool) -> int:
        raise campaign.Hung

    monkeypatch.setattr(campaign, "run", hangs)
    assert campaign.outcome(())[0] == "hung"
