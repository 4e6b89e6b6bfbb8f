"""Memory that is used again."""

import gc
import random
import threading

import numpy as np
import torch

from mpiedge.comm import rooms
from mpiedge.comm.rooms import Rooms


def address(memory: np.ndarray) -> int:
    return int(memory.__array_interface__["data"][0])


def test_it_comes_back_when_the_last_view_is_gone() -> None:
    given = Rooms()
    room = given.take(1000)
    first = address(room)
    tensor = torch.from_numpy(room).view(torch.float32)[10:20]
    del room
    assert address(given.take(1000)) != first
    tensor += 1
    del tensor
    assert first in (address(given.take(1000)), address(given.take(1000)))


def test_sizes_are_kept_apart() -> None:
    given = Rooms()
    first = address(given.take(1000))
    other = given.take(2000)
    assert (other.size, address(other) == first) == (2000, False)
    assert address(given.take(1000)) == first


def test_only_some_are_kept() -> None:
    given = Rooms()
    held = [given.take(1000) for _ in range(9)]
    del held
    assert given._kept == 2000


def test_what_has_not_come_for_longest_goes_first(monkeypatch) -> None:
    monkeypatch.setattr(rooms, "_KEPT", 5000)
    given = Rooms()
    for size in (1000, 2000, 3000):
        given.take(size)
    assert (given._kept, sorted(given._free)) == (5000, [2000, 3000])
    given.take(9000)  # one that is larger than all that is kept is kept alone
    assert (given._kept, sorted(given._free)) == (9000, [9000])
    two = given.take(9000), given.take(9000)
    del two
    assert (given._kept, sorted(given._free)) == (9000, [9000])


def test_many_threads_never_share_what_they_have() -> None:
    given, failures = Rooms(), []

    def work(seed: int) -> None:
        draw, held = random.Random(seed), []
        for _ in range(2000):
            room = given.take(draw.choice([64, 128, 4096]))
            room[:] = seed
            held.append(room)
            if len(held) > 3:
                last = held.pop(draw.randrange(len(held)))
                if not (last == seed).all():
                    failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    gc.collect()
    assert given._kept == sum(len(spare) * size for size, spare in given._free.items())
