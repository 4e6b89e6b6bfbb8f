import time

from mpiedge.comm.pause import Pause


def test_a_wait_looks_often_at_first() -> None:
    pause, looks, start = Pause(0.004), 0, time.perf_counter()
    while time.perf_counter() - start < 2e-4:
        pause.rest()
        looks += 1
    assert looks >= 2


def test_a_long_wait_costs_little() -> None:
    pause, looks, start = Pause(0.004), 0, time.perf_counter()
    while time.perf_counter() - start < 0.02:
        pause.rest()
    while time.perf_counter() - start < 0.22:
        pause.rest()
        looks += 1
    assert looks <= 160  # after 20 ms a look lasts 1.25 ms or more


def test_a_reset_makes_it_quick_again() -> None:
    pause = Pause(0.5)
    time.sleep(0.05)
    pause.reset()
    start = time.perf_counter()
    pause.rest()
    assert time.perf_counter() - start < 0.02
