"""Which waits are in vain, decided on made-up signs of life."""

import math
import time

import pytest

from mpiedge.comm.signs import COMPUTING, Sign, Watch, newest_progress
from mpiedge.errors import RankLost


def waits(moved: float, *awaited: int) -> Sign:
    return Sign(moved, moved, awaited)


def test_a_chain_is_as_fresh_as_its_end() -> None:
    chain = [waits(1, 1), waits(2, 2), waits(3, 3), Sign(90, 90)]
    assert newest_progress(chain, 0) == 90
    assert newest_progress([*chain[:3], COMPUTING], 0) == math.inf


def test_a_chain_whose_end_is_silent_is_as_old_as_its_newest_wait() -> None:
    assert newest_progress([waits(1, 1), waits(2, 2), Sign(1.5, 1.5)], 0) == 2


def test_a_circle_makes_no_progress() -> None:
    assert newest_progress([waits(1, 1), waits(2, 2), waits(3, 0)], 0) == 3
    assert newest_progress([waits(5, 1), waits(2, 0)], 0) == 5


def test_the_laggard_of_a_group_decides() -> None:
    group = [waits(1, 1, 2), waits(2, 0, 2), Sign(90, 90)]
    assert newest_progress(group, 0) == 90
    assert newest_progress([waits(1, 1, 2), Sign(90, 90), Sign(7, 7)], 0) == 7


def test_a_member_that_waits_for_the_group_elsewhere_stalls_it() -> None:
    assert newest_progress([waits(1, 1, 2), waits(2, 0, 2), waits(4, 0)], 0) <= 4


def test_large_groups_are_judged_at_once() -> None:
    ranks = range(40)
    signs = [waits(rank, *(other for other in ranks if other != rank)) for rank in ranks]
    start = time.monotonic()
    assert newest_progress(signs, 0) < 40
    assert time.monotonic() - start < 1


def watch_of_two(timeout: float = 0.1) -> Watch:
    now = time.monotonic()
    return Watch(0, ["here", "there"], timeout, [Sign(now, now)] * 2)


def test_a_silent_rank_is_named_with_its_host() -> None:
    watch = watch_of_two()
    with pytest.raises(RankLost, match=r"rank 0 of 2 waited 0\.1\d* s for rank 1 on there: tea; "):
        wait_for(watch, 0.3)
    assert "it is silent" in watch.complaint()


def wait_for(watch: Watch, seconds: float, age: float | None = -1) -> None:
    """Wait for rank 1, which says all the while that nothing moved for ``age``; -1: is silent."""
    end = time.monotonic() + seconds
    with watch.waiting([1], "tea"):
        while time.monotonic() < end:
            if age != -1:
                watch.heard(1, age, (0,) if age else ())
            watch.check()
            time.sleep(0.005)


def test_a_rank_that_computes_is_waited_for() -> None:
    watch = watch_of_two()
    wait_for(watch, 0.3, age=None)
    assert watch.own() == (None, ())


def test_a_rank_that_lives_but_waits_itself_is_not() -> None:
    watch = watch_of_two()
    with pytest.raises(RankLost, match="it waits itself, for rank 0, or raise comm.timeout"):
        wait_for(watch, 0.3, age=5.0)


def test_data_that_moves_prolongs_a_wait() -> None:
    watch = watch_of_two()
    with watch.waiting([1], "tea"):
        for _ in range(6):
            time.sleep(0.05)
            watch.moved(1)
            watch.check()
        age, awaited = watch.own()
    assert age is not None
    assert age < 0.1
    assert awaited == (1,)


def test_who_is_lost_stays_lost_to_the_others() -> None:
    watch = watch_of_two()
    with pytest.raises(RankLost):
        wait_for(watch, 0.3)
    age, awaited = watch.own()
    assert awaited == (1,)
    assert age is not None
    assert not watch.waits


def test_who_is_silent_is_named_before_who_waits_for_longer() -> None:
    now = time.monotonic()
    watch = Watch(0, ["here", "there", "elsewhere"], 0.2, [Sign(now, now)] * 3)
    with watch.waiting([1, 2], "tea"):
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            watch.heard(1, 0.5, (0,))
            time.sleep(0.01)
        watch.heard(1, 0.5, (0,))
        assert "for rank 2 on elsewhere: tea; it is silent" in watch.complaint()
