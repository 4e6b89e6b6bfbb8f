"""mpirun's banners are kept back, and nothing else."""

import os

import pytest

from mpiedge.launch.noise import RULE, Filter, relay

DETECTED = (
    RULE + b"prterun detected that one or more processes exited with non-zero status,\n"
    b"thus causing the job to be terminated. The first process to do so was:\n\n"
    b"   Process name: [prterun-vm-4522@1,1]\n   Exit code:    3\n" + RULE
)
ABORT = (
    RULE + b"MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD\n"
    b"  Proc: [[18661,1],1]\n  Errorcode: 3\n" + RULE
)
KILLED = (
    RULE + b"prterun noticed that process rank 1 with PID 4540 on node vm exited on\n"
    b"signal 9 (Killed).\n" + RULE
)


def shown(text: bytes, piece: int) -> bytes:
    stream = Filter()
    parts = [stream.feed(text[at : at + piece]) for at in range(0, len(text), piece)]
    return b"".join(parts) + stream.close()


@pytest.mark.parametrize("piece", [1, 7, 75, 10_000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"rank 1: bad\n" + DETECTED, b"rank 1: bad\n"),
        (b"rank 1: bad\n" + ABORT + DETECTED + b"more\n", b"rank 1: bad\nmore\n"),
        (DETECTED, DETECTED),
        (ABORT + DETECTED, ABORT + DETECTED),
        (b"x\n" + KILLED, b"x\n" + KILLED),
        (ABORT.replace(b"code: 3", b"code: 143") + KILLED + b"\0", KILLED),
        (ABORT.replace(b"code: 3", b"code: 14") + KILLED, ABORT.replace(b": 3", b": 14") + KILLED),
        (b"x\n" + KILLED + DETECTED, b"x\n" + KILLED),
        (b"x\n" + DETECTED[:-1], b"x\n" + DETECTED[:-1]),
        (b"x\n" + RULE + b"a table\n" + RULE, b"x\n" + RULE + b"a table\n" + RULE),
        (b"\n----- a list\n", b"\n----- a list\n"),
        (b"no end of line", b"no end of line"),
    ],
)
def test_whatever_the_pieces(text: bytes, expected: bytes, piece: int) -> None:
    assert shown(text, piece) == expected


def test_a_job_with_a_result_needs_no_banner() -> None:
    assert Filter(lambda: True).feed(DETECTED + b"more\n") == b"more\n"
    assert Filter(lambda: False).feed(DETECTED) == DETECTED


def test_unfinished_lines_pass_at_once() -> None:
    stream = Filter()
    assert stream.feed(b"\rstep 1") == b"\rstep 1"
    assert stream.feed(b"\rstep 2") == b"\rstep 2"
    assert stream.feed(b"\n--") == b"\n"
    assert stream.feed(b"x") == b"--x"


def test_a_banner_that_never_ends_is_let_through() -> None:
    text = b"x\n" + DETECTED[: -len(RULE)] + b"word " * 1000
    assert shown(text, 100) == text


def test_relay_copies_until_the_end() -> None:
    source, into = os.pipe()
    out_of, target = os.pipe()
    os.write(into, b"rank 0: bad\n" + DETECTED)
    os.close(into)
    relay(source, target)
    os.close(target)
    assert os.read(out_of, 1000) == b"rank 0: bad\n"
    os.close(source)
    os.close(out_of)
