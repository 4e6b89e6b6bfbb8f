"""A thread that does jobs in order."""

import threading
import time
import weakref

import pytest
import torch

from mpiedge.store.background import Background


def test_jobs_are_done_in_order_and_elsewhere() -> None:
    done: list[tuple[int, bool]] = []
    here = threading.get_ident()
    thread = Background("test", 2)
    for number in range(20):
        thread.submit(lambda number=number: done.append((number, threading.get_ident() != here)))
    thread.wait()
    assert done == [(number, True) for number in range(20)]
    thread.end()
    thread.end()


def test_submitting_waits_while_too_many_wait() -> None:
    gate = threading.Event()
    thread = Background("test", 2)
    for _ in range(3):  # one under way, two waiting
        thread.submit(lambda: gate.wait(10) and None)
        time.sleep(0.05)
    late = threading.Thread(target=lambda: thread.submit(lambda: None))
    late.start()
    late.join(0.1)
    assert late.is_alive()
    gate.set()
    late.join(10)
    assert not late.is_alive()
    thread.end()


def test_the_first_failure_is_raised_again_and_ends_all_work() -> None:
    done = []

    def fail() -> None:
        raise OSError("the disk is gone")

    thread = Background("test", 9)
    gate = threading.Event()
    thread.submit(lambda: gate.wait(10) and None)
    thread.submit(fail)
    thread.submit(lambda: done.append(1))
    gate.set()
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            thread.wait()
    with pytest.raises(OSError, match="the disk is gone"):
        thread.submit(lambda: done.append(2))
    thread.end()
    assert done == []


def test_a_job_that_is_done_holds_nothing() -> None:
    thread = Background("test", 2)
    tensor = torch.ones(3)
    gone = weakref.ref(tensor)
    thread.submit(lambda kept=tensor: None)
    thread.wait()
    del tensor
    deadline = time.monotonic() + 5
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone() is None
    thread.end()
