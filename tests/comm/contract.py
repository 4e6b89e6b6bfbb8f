"""What every transport promises, as checks that each of three ranks runs.

``test_contract`` runs them over threads, and over MPI through ``contract_program``.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mpiedge.comm.ledger import total
from mpiedge.comm.telemetry import Telemetry
from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.comm.values import agree, check_same, check_same_values, collectively, decided, gather
from mpiedge.comm.wire import INLINE
from mpiedge.errors import BadInput, RankLost

TIMEOUT = 1.5  # seconds; so short that the checks of deadlines end soon

Check = Callable[[Transport], None]

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


def pattern(dtype: torch.dtype, *shape: int) -> Tensor:
    count = torch.Size(shape).numel()
    return (torch.arange(count) % 97).reshape(shape).to(dtype)


def around(transport: Transport, tensors: list[Tensor], tag: Tag) -> tuple[Tensor, ...]:
    """Send to the next rank and receive from the one before."""
    transport.send(tensors, (transport.rank + 1) % transport.size, tag)
    received = transport.recv((transport.rank - 1) % transport.size, tag)
    transport.flush()
    return received


def everyone(transport: Transport) -> range:
    return range(transport.size)


def every_dtype_arrives(transport: Transport) -> None:
    for count in (3, INLINE + 1):
        sent = [pattern(dtype, count) for dtype in FLOATS + INTEGERS]
        received = around(transport, sent, Tag(Kind.ACTIVATION, count))
        assert [t.dtype for t in received] == list(FLOATS + INTEGERS)
        assert all(torch.equal(a, b) for a, b in zip(sent, received, strict=True))


def gradient_flags_arrive(transport: Transport) -> None:
    sent = [torch.ones(2, requires_grad=True), torch.ones(2), torch.ones(9000, requires_grad=True)]
    received = around(transport, [sent[0] * 2, *sent[1:]], Tag(Kind.ACTIVATION, 1))
    assert [t.requires_grad for t in received] == [True, False, True]
    assert all(t.is_leaf for t in received)
    assert received[0].tolist() == [2.0, 2.0]


def odd_shapes_arrive(transport: Transport) -> None:
    column = pattern(torch.float32, 300, 200).t()
    sent = [torch.tensor(7.5), torch.empty(0), torch.empty(3, 0, 2), column, column[::3, 1:5]]
    received = around(transport, sent, Tag(Kind.ACTIVATION, 2))
    assert [t.shape for t in received] == [t.shape for t in sent]
    assert all(torch.equal(a, b) for a, b in zip(sent, received, strict=True))
    assert around(transport, [], Tag(Kind.ACTIVATION, 3)) == ()


def large_messages_arrive(transport: Transport) -> None:
    sent = pattern(torch.float32, 5, 1024, 1024) + transport.rank
    (received,) = around(transport, [sent], Tag(Kind.WEIGHTS))
    step = transport.rank - (transport.rank - 1) % transport.size
    assert torch.equal(received, sent - step)


def messages_of_a_tag_keep_their_order(transport: Transport) -> None:
    for i in range(20):
        size = 200_000 if i % 2 else 1  # the small ones could overtake the large ones
        transport.send(
            [torch.full((size,), i)], (transport.rank + 1) % transport.size, Tag(Kind.LOSS)
        )
    source = (transport.rank - 1) % transport.size
    assert [int(transport.recv(source, Tag(Kind.LOSS))[0][0]) for _ in range(20)] == [*range(20)]
    transport.flush()


def tags_may_be_taken_in_any_order(transport: Transport) -> None:
    dest, source = (transport.rank + 1) % transport.size, (transport.rank - 1) % transport.size
    for number in range(5):
        transport.send([torch.tensor(number)], dest, Tag(Kind.GRADIENT, number, 2))
    for number in reversed(range(5)):
        assert transport.recv(source, Tag(Kind.GRADIENT, number, 2))[0].item() == number


def a_message_to_oneself_is_not_copied(transport: Transport) -> None:
    sent = torch.ones(4, requires_grad=True) * 3
    transport.send([sent], transport.rank, Tag(Kind.ACTIVATION))
    (received,) = transport.recv(transport.rank, Tag(Kind.ACTIVATION))
    assert received.data_ptr() == sent.data_ptr()
    assert received.requires_grad
    assert received.is_leaf


def poll_does_not_wait(transport: Transport) -> None:
    tag, source = Tag(Kind.RECORDS, 1), (transport.rank - 1) % transport.size
    assert transport.poll(source, tag) is None
    transport.all_reduce(torch.zeros(1), everyone(transport))
    transport.send([torch.ones(1)], (transport.rank + 1) % transport.size, tag)
    end = time.monotonic() + 5
    while (received := transport.poll(source, tag)) is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    assert received[0].item() == 1
    assert transport.poll(source, tag) is None


def sums_are_right_for_every_dtype(transport: Transport) -> None:
    for dtype in (*FLOATS, torch.int64, torch.int32):
        tensor = pattern(dtype, 7, 3) % 8 + transport.rank
        transport.all_reduce(tensor, everyone(transport))
        assert torch.equal(tensor, pattern(dtype, 7, 3) % 8 * 3 + 3)
        assert tensor.dtype == dtype


def large_sums_are_right(transport: Transport) -> None:
    for size in (8_195, 5_000_000, 7_000_003):
        tensor = pattern(torch.float32, size) * (transport.rank + 1)
        transport.all_reduce(tensor, everyone(transport))
        assert torch.equal(tensor, pattern(torch.float32, size) * 6)
    pair = torch.full((9_999,), 1.0 + transport.rank, dtype=torch.bfloat16)
    if transport.rank:
        transport.all_reduce(pair, [2, 1])
        assert torch.equal(pair, torch.full((9_999,), 5.0, dtype=torch.bfloat16))


def sums_are_the_same_everywhere(transport: Transport) -> None:
    for dtype in FLOATS:
        torch.manual_seed(transport.rank)
        tensor = torch.randn(100_003).to(dtype)
        transport.all_reduce(tensor, everyone(transport))
        first = tensor.clone()
        transport.broadcast(first, 0, everyone(transport))
        assert torch.equal(tensor, first)


def large_sums_of_16_bits_are_near(transport: Transport) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        draw = torch.Generator().manual_seed(0)  # ranks may be threads that share torch's own
        every = torch.rand(transport.size, 300_001, generator=draw) - 0.5
        tensor = every[transport.rank].to(dtype)
        transport.all_reduce(tensor, everyone(transport))
        assert tensor.dtype == dtype
        assert (tensor.float() - every.sum(0)).abs().max() < 4 * torch.finfo(dtype).eps


def sums_may_be_under_way_together(transport: Transport) -> None:
    ranks, sizes = everyone(transport), (1, 20_000, 300_001, 70_000)
    tensors = [pattern(torch.float32, size) * (transport.rank + 1) for size in sizes]
    finishes = [transport.sum_later(tensor, ranks) for tensor in tensors]
    # Messages pass meanwhile, and find what is theirs.
    (came,) = around(transport, [torch.full((30_000,), 1.0 * transport.rank)], Tag(Kind.WEIGHTS))
    assert came.tolist() == [(transport.rank - 1) % transport.size] * 30_000
    if transport.rank == 1:
        time.sleep(0.2)  # the others' sums wait for this one
    for size, tensor, finish in zip(sizes, tensors, finishes, strict=True):
        finish()
        assert torch.equal(tensor, pattern(torch.float32, size) * sum(r + 1 for r in ranks))


def memory_of_messages_is_not_used_while_somebody_has_it(transport: Transport) -> None:
    kept = [
        around(transport, [torch.full((20_000,), float(i))], Tag(Kind.WEIGHTS, i)) for i in range(9)
    ]
    assert [tensors[0].tolist() for tensors in kept] == [[float(i)] * 20_000 for i in range(9)]
    views = [tensors[0][5:9] for tensors in kept]
    del kept
    for i in range(9, 18):
        around(transport, [torch.full((20_000,), float(i))], Tag(Kind.WEIGHTS, i))
    assert [view.tolist() for view in views] == [[float(i)] * 4 for i in range(9)]


def any_group_can_sum(transport: Transport) -> None:
    for group in ([0, 2], [1], [2, 1], [0, 2]):
        tensor = torch.tensor([1.0 + transport.rank])
        if transport.rank in group:
            transport.all_reduce(tensor, group)
            assert tensor.item() == sum(1 + rank for rank in group)


def sums_of_what_is_not_contiguous_are_refused(transport: Transport) -> None:
    with pytest.raises(ValueError, match="contiguous"):
        transport.all_reduce(torch.ones(4, 3).t(), everyone(transport))


def broadcasts_copy_the_root(transport: Transport) -> None:
    for root, dtype in ((1, torch.bfloat16), (2, torch.bool), (0, torch.float32)):
        tensor = pattern(dtype, 10_000) if transport.rank == root else torch.zeros(10_000).to(dtype)
        transport.broadcast(tensor, root, [2, 0, 1])
        assert torch.equal(tensor, pattern(dtype, 10_000))


def the_ledger_counts_both_ways(transport: Transport) -> None:
    sent, received = total(transport.ledger.sent()), total(transport.ledger.received())
    around(transport, [torch.zeros(50_000)], Tag(Kind.ENTRY, 5))
    out, back = total(transport.ledger.sent()), total(transport.ledger.received())
    assert out.messages - sent.messages == back.messages - received.messages == 1
    assert 200_000 < out.bytes - sent.bytes < 200_200
    assert out.bytes - sent.bytes == back.bytes - received.bytes
    assert (Kind.ENTRY, (transport.rank + 1) % transport.size) in transport.ledger.sent()


def values_are_agreed_and_gathered(transport: Transport) -> None:
    mine = {"rank": transport.rank, "name": "Zoë", "loss": [0.1, None]}
    for root in everyone(transport):
        assert agree(transport, mine, root) == {**mine, "rank": root}
        gathered = gather(transport, mine, root)
        expected = [{**mine, "rank": rank} for rank in everyone(transport)]
        assert gathered == (expected if transport.rank == root else None)


def bad_input_on_one_rank_is_raised_on_all(transport: Transport) -> None:
    def step() -> int:
        if transport.rank == 1:
            raise BadInput("no file pears.csv; name one")
        return transport.rank

    with pytest.raises(BadInput, match=r"^rank 1 on .*: no file pears.csv; name one$"):
        collectively(transport, step)


def bad_input_on_all_ranks_is_told_once(transport: Transport) -> None:
    def step() -> None:
        raise BadInput("learning_rate: -1; give a positive one")

    with pytest.raises(BadInput, match=r"^learning_rate: -1; give a positive one$"):
        collectively(transport, step)
    assert collectively(transport, lambda: transport.rank) == transport.rank
    assert collectively(transport, lambda: None) is None


def the_first_value_that_differs_is_named(transport: Transport) -> None:
    values = {"a": 1, "b": [transport.rank // 2]}
    with pytest.raises(BadInput, match=r"^b is \[1\] on rank 2 but \[0\] on rank 0; mend it$"):
        check_same_values(transport, values, "mend it")
    check_same_values(transport, {"a": 1}, "mend it")


def rank_0_decides_for_all(transport: Transport) -> None:
    asked: list[int] = []

    def step() -> dict[str, list[int]]:
        asked.append(transport.rank)
        return {"layers": [1, 2]}

    assert decided(transport, step) == {"layers": [1, 2]}
    assert asked == ([0] if transport.rank == 0 else [])


def bad_input_that_rank_0_finds_is_raised_on_all(transport: Transport) -> None:
    def step() -> None:
        raise BadInput("5 ranks are more than 3 layers")

    with pytest.raises(BadInput, match="^5 ranks are more than 3 layers$"):
        decided(transport, step)


def ranks_that_differ_are_named(transport: Transport) -> None:
    check_same(transport, "the version", "1.0", "install one")
    with pytest.raises(BadInput, match="the version is '2' on ranks 1, 2 but '1' on rank 0; inst"):
        check_same(transport, "the version", "1" if transport.rank == 0 else "2", "install one")


def a_slow_peer_is_waited_for(transport: Transport) -> None:
    # 0 waits for 2, which waits for 1, which computes for longer than the timeout.
    if transport.rank == 1:
        end = time.monotonic() + 1.7 * TIMEOUT
        while time.monotonic() < end:
            sum(range(1000))
        transport.send([torch.ones(1)], 2, Tag(Kind.LOSS, 1))
    elif transport.rank == 2:
        transport.send(transport.recv(1, Tag(Kind.LOSS, 1)), 0, Tag(Kind.LOSS, 2))
    else:
        assert transport.recv(2, Tag(Kind.LOSS, 2))[0].item() == 1


def a_slow_peer_is_waited_for_by_a_group(transport: Transport) -> None:
    if transport.rank == 0:
        time.sleep(1.7 * TIMEOUT)
    tensor = torch.ones(1)
    transport.all_reduce(tensor, everyone(transport))
    assert tensor.item() == 3


def how_others_fare_is_known_on_rank_0(transport: Transport) -> None:
    transport.telemetry.examples = 10 * transport.rank + 1
    transport.send([torch.zeros(1000)], (transport.rank + 1) % 3, Tag(Kind.LOSS, 7))
    transport.recv((transport.rank - 1) % 3, Tag(Kind.LOSS, 7))
    if transport.rank == 0:
        end, known = time.monotonic() + 30, transport.telemetry
        while not all(_is_told(known, rank) for rank in range(3)):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert str(known.state(0)) == "computes"
        assert str(known.state(1)) == "waits for rank 0"
        for rank in (1, 2):
            transport.send([], rank, Tag(Kind.LOSS, 8))
    else:
        transport.recv(0, Tag(Kind.LOSS, 8))


def _is_told(known: Telemetry, rank: int) -> bool:
    reading = known.reading(rank)
    if reading is None or reading.examples != 10 * rank + 1:
        return False
    told = str(known.state(rank)) == ("computes" if rank == 0 else "waits for rank 0")
    return told and reading.memory > 2**20 and min(reading.sent, reading.received) >= 4000


def a_circle_of_waits_ends(transport: Transport) -> None:
    start, awaited = time.monotonic(), (1, 0, 1)[transport.rank]
    expected = (
        rf"^rank {transport.rank} of 3 waited \S+ s for rank {awaited} on .+: activation of "
        rf"micro-batch 3 entering stage 1; .*, or raise comm.timeout \({TIMEOUT}\)$"
    )
    with pytest.raises(RankLost, match=expected):
        transport.recv(awaited, Tag(Kind.ACTIVATION, 3, 1))
    assert 0.9 * TIMEOUT < time.monotonic() - start < 5 * TIMEOUT  # 1.3 on an idle machine


def a_circle_scatters_and_gathers(transport: Transport) -> None:
    for root in (0, 2):
        circle, sizes = transport.circle(root, everyone(transport)), [3, 0, 100_000]
        parts = [np.arange(size, dtype=np.int64).view(np.uint8) + r for r, size in enumerate(sizes)]
        here = transport.rank == root
        mine = circle.scatter(parts if here else (), 8 * sizes[transport.rank])
        assert np.array_equal(mine, parts[transport.rank])
        going = [circle.gather(mine + k, [8 * size for size in sizes]) for k in (0, 1)]
        for k, gathered in enumerate(one.finish() for one in going):
            assert len(gathered) == (3 if here else 0)
            assert all(np.array_equal(a, b + k) for a, b in zip(gathered, parts, strict=False))


def a_circle_of_some_ranks_leaves_the_others_alone(transport: Transport) -> None:
    if transport.rank == 1:
        return
    circle = transport.circle(0, (0, 2))
    mine = np.full(4, transport.rank, dtype=np.uint8)
    gathered = circle.gather(mine, [4, 4]).finish()
    assert [int(part[0]) for part in gathered] == ([0, 2] if transport.rank == 0 else [])


def what_a_circle_moves_is_counted(transport: Transport) -> None:
    before = total(transport.ledger.sent()).bytes, total(transport.ledger.received()).bytes
    circle = transport.circle(0, everyone(transport))
    made = total(transport.ledger.sent()).bytes
    mine = np.zeros(1_000_000 * transport.rank, dtype=np.uint8)
    circle.gather(mine, [0, 1_000_000, 2_000_000]).finish()
    sent = total(transport.ledger.sent()).bytes - made
    came = total(transport.ledger.received()).bytes - before[1]
    assert mine.size <= sent <= mine.size + 200
    assert transport.rank != 0 or 3_000_000 <= came <= 3_001_000


CHECKS: tuple[Check, ...] = (
    every_dtype_arrives,
    gradient_flags_arrive,
    odd_shapes_arrive,
    large_messages_arrive,
    messages_of_a_tag_keep_their_order,
    tags_may_be_taken_in_any_order,
    a_message_to_oneself_is_not_copied,
    poll_does_not_wait,
    sums_are_right_for_every_dtype,
    large_sums_are_right,
    sums_are_the_same_everywhere,
    large_sums_of_16_bits_are_near,
    sums_may_be_under_way_together,
    memory_of_messages_is_not_used_while_somebody_has_it,
    any_group_can_sum,
    sums_of_what_is_not_contiguous_are_refused,
    broadcasts_copy_the_root,
    the_ledger_counts_both_ways,
    values_are_agreed_and_gathered,
    bad_input_on_one_rank_is_raised_on_all,
    bad_input_on_all_ranks_is_told_once,
    the_first_value_that_differs_is_named,
    rank_0_decides_for_all,
    bad_input_that_rank_0_finds_is_raised_on_all,
    ranks_that_differ_are_named,
    a_slow_peer_is_waited_for,
    a_slow_peer_is_waited_for_by_a_group,
    a_circle_scatters_and_gathers,
    a_circle_of_some_ranks_leaves_the_others_alone,
    what_a_circle_moves_is_counted,
    how_others_fare_is_known_on_rank_0,
    a_circle_of_waits_ends,
)

BETWEEN_HOSTS = tuple(check for check in CHECKS if check is not a_circle_of_waits_ends)
"""Over TCP: all but one that wants every rank to give up before it has heard that another did."""
