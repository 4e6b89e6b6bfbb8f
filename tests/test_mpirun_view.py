"""What rank 0 draws on the terminal into which a job was typed."""

import os
import pty
import re
import subprocess
import threading
from pathlib import Path

import pytest

from mpiedge.config import to_toml
from tests.jobs import MPIEDGE
from tests.models import save_tiny
from tests.mpirun import environment
from tests.runs import difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    model = save_tiny("bert", folder / "bert", blocks=3)
    data = write_requests(folder / "requests", rows=450)
    given = settings(model, data, strategy={"name": "pipeline"}, training={"epochs": 1})
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


def drawn(run_file: Path, name: str, *words: str) -> str:
    """All that a terminal was sent."""
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                seen.append(piece)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    out = str(run_file.parent / name)
    try:
        done = subprocess.run(
            (*MPIEDGE, "launch", "-n", "2", "--", "train", run_file, "--output-dir", out, *words),
            env={**environment(), "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            timeout=120,
            check=False,
        )
    finally:
        os.close(theirs)
        reader.join(timeout=10)
        os.close(ours)
    text = b"".join(seen).decode()
    assert done.returncode == 0, text
    return text


def test_a_line_for_each_device_and_plainly_none(run_file: Path) -> None:
    live, plain = drawn(run_file, "live"), drawn(run_file, "plain", "--plain")
    for rank in (0, 1):
        line = rf"{rank}  \S+ +[\d.]+ +(computes|waits for rank \d) +.*MiB"
        assert re.search(line, live), live
    words = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", live).split()
    assert "rank host layers state ex/s memory out, in MiB/s 0 " in " ".join(words)
    assert "epoch 1/1  step 57/57" in live
    assert live.count("\x1b[?25l") == live.count("\x1b[?25h") == 1
    assert "epoch 1/1  step 57/57" in plain
    assert "ex/s" not in plain
    assert "\x1b" not in plain
    # Who looks changes nothing.
    assert difference(finished(run_file.parent / "live"), finished(run_file.parent / "plain")) == 0
