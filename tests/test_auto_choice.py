"""What ``--strategy auto`` would take, against every plan that small clusters can have."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_choice_is_near_the_best() -> None:
    script = ROOT / "launch" / "bench" / "planning" / "auto.py"
    done = subprocess.run(
        [sys.executable, str(script), "--clusters", "30", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["clusters"] == found["with_a_plan"] == 30
    assert found["not_found"] == 0
    assert 1.0 <= found["worst"] < 1.1
    assert found["near"] >= 0.95
