import time

from mpiedge.comm.pause import Pause


def test_a_wait_looks_often_at_first() -> None:
    pause, looks, start = Pause(), 0, time.perf_counter()
    while time.perf_counter() - start < 2e-4:
        pause.rest(0.004)
        looks += 1
    assert looks >= 2


def test_a_long_wait_costs_little() -> None:
    pause, looks, start = Pause(), 0, time.perf_counter()
    while time.perf_counter() - start < 0.02:
        pause.rest(0.004)
    while time.perf_counter() - start < 0.22:
        pause.rest(0.004)
        looks += 1
    assert looks <= 160  # after 20 ms a look lasts 1.25 ms or more


def test_a_reset_makes_it_quick_again() -> None:
    pause = Pause()
    time.sleep(0.05)
    pause.reset()
    start = time.perf_counter()
    pause.rest(0.5)
    assert time.perf_counter() - start < 0.02


def test_a_stream_is_slept_over_in_between() -> None:
    """Of things 5 ms apart a wait looks far less often than one that does not know them."""

    def looks(things: int) -> int:
        pause, count = Pause(), 0
        for thing in range(things):
            start = time.perf_counter()
            count = 0 if thing < things - 20 else count
            while time.perf_counter() - start < 0.005:
                pause.rest(0.05)
                count += 1
            pause.reset()
        return count

    assert looks(80) < looks(20) / 2  # the last 20 of each
