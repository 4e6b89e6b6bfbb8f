import io
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.launch.standard_input import VARIABLE, lines, offer


def test_what_is_offered_arrives_with_its_end(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(20_000))
    environment = offer(io.BytesIO(text.encode()), tmp_path)
    with lines(environment) as read:
        assert "".join(read) == text


def test_an_input_that_nobody_reads_keeps_nobody(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mpiedge.launch.standard_input import offer; "
        f"offer(sys.stdin.buffer, Path({str(tmp_path)!r})); print('done')"
    )
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.wait(timeout=20) == 0
    assert process.stdout.read() == b"done\n"
    assert time.monotonic() - started < 20
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def test_alone_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\nb\n"))
    with lines({}) as read:
        assert list(read) == ["a\n", "b\n"]


def test_under_a_bare_mpirun_it_is_bad_input() -> None:
    with pytest.raises(BadInput, match="start with mpiedge launch"), lines({"PMIX_RANK": "0"}):
        pass


def test_the_launchers_pipe_counts_under_mpirun_too(tmp_path: Path) -> None:
    environment = offer(io.BytesIO(b"x\n"), tmp_path)
    assert set(environment) == {VARIABLE}
    with lines({**environment, "PMIX_RANK": "0"}) as read:
        assert list(read) == ["x\n"]
