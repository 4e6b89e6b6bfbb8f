"""Buffers that are used again."""

import gc

import torch

from mpiedge.store.pool import Pool


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    pool = Pool(2)
    first = pool.take((4, 5))
    place = first.data_ptr()
    view = first[2:]
    del first
    other = pool.take((4, 5))
    assert other.data_ptr() != place
    del view
    assert pool.take((4, 5)).data_ptr() == place


def test_what_autograd_keeps_is_not_overwritten() -> None:
    pool = Pool(2)
    taken = pool.take((3, 3))
    taken[:] = 2.0
    weight = torch.ones(3, 3, requires_grad=True)
    loss = (taken[1] @ weight).sum()
    del taken
    gc.collect()
    pool.take((3, 3))[:] = 7.0
    loss.backward()
    assert weight.grad is not None
    assert bool((weight.grad == 2).all())


def test_smaller_tensors_fit_and_larger_ones_replace() -> None:
    pool = Pool(2)
    place = pool.take((100,)).data_ptr()
    small = pool.take((2, 10))
    assert small.data_ptr() == place
    assert small.shape == (2, 10)
    del small
    large = pool.take((1000,))
    large_place = large.data_ptr()
    del large
    assert pool.take((3,)).data_ptr() == large_place


def test_only_so_many_are_kept() -> None:
    pool = Pool(2)
    taken = [pool.take((1000,)) for _ in range(5)]
    taken.clear()
    assert len(pool._free) == 2


def test_an_empty_tensor() -> None:
    assert Pool(1).take((3, 0, 5)).shape == (3, 0, 5)
