"""A request to end reaches a rank wherever it is, once, and leaves nothing changed behind."""

import os
import signal
import sys
import threading
import time
import weakref

import pytest

from mpiedge.comm.interruption import Terminated, interruptible

REQUESTS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
SOON = 5.0  # seconds


class _Dies:
    """What sends this process a signal as it goes, where no exception can come out."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "raised"), REQUESTS)
def test_it_raises_where_the_rank_is(number: int, raised: type[BaseException]) -> None:
    with pytest.raises(raised), interruptible():
        os.kill(os.getpid(), number)
        time.sleep(SOON)


@pytest.mark.parametrize(("number", "raised"), REQUESTS)
@pytest.mark.parametrize("place", ["del", "weakref"])
def test_a_request_that_python_swallowed_comes_again(
    number: int, raised: type[BaseException], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, begun = (sys.unraisablehook, signal.getsignal(signal.SIGTERM)), time.monotonic()
    with pytest.raises(raised), interruptible():
        if place == "del":
            dies = _Dies(number)
        else:
            dies = threading.Event()
            _ = weakref.ref(dies, lambda _: (os.kill(os.getpid(), number), time.sleep(0.01)))
        del dies
        time.sleep(SOON)
    assert time.monotonic() - begun < SOON
    assert capsys.readouterr().err == ""
    assert (sys.unraisablehook, signal.getsignal(signal.SIGTERM)) == before


def test_any_other_failure_there_is_printed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: printed.append(what.exc_type))

    def fails(_: object) -> None:
        raise ZeroDivisionError

    with interruptible():
        dies = threading.Event()
        _ = weakref.ref(dies, fails)
        del dies
    assert printed == [ZeroDivisionError]


def test_a_thread_hears_nothing_and_changes_nothing() -> None:
    seen, before = [], (sys.unraisablehook, signal.getsignal(signal.SIGTERM))

    def body() -> None:
        with interruptible():
            seen.append((sys.unraisablehook, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]
