"""Named tensors from the ranks that own them to the ranks that want them."""

from collections import Counter

import torch
from torch import Tensor

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.comm.transport import Kind
from mpiedge.pipeline.hand_over import Named, hand_over

OWNERS = {"a": 0, "b": 0, "c": 1, "d": 2}
WANTED = {0: {"a", "c", "d"}, 1: {"a", "b", "c"}, 2: {"d"}, 3: {"b", "d"}}


def given(name: str) -> tuple[Tensor, Tensor]:
    value = float(ord(name))
    return torch.full((2, 3), value), torch.tensor(value)


def test_every_rank_gets_what_it_wants_in_one_message_from_each_owner() -> None:
    def body(transport: ThreadTransport) -> tuple[Named, Counter[int]]:
        held = {name: given(name) for name, owner in OWNERS.items() if owner == transport.rank}
        # What a rank holds but does not own is an old copy, and must not count.
        held.update({name: (torch.zeros(1),) * 2 for name in OWNERS if name not in held})
        received = hand_over(transport, held, OWNERS, WANTED)
        sent = transport.ledger.sent().items()
        transport.close()
        messages = {to: n.messages for (what, to), n in sent if what is Kind.WEIGHTS}
        return received, Counter(messages)

    ranks = run_ranks(4, body)
    for rank, (received, _) in enumerate(ranks):
        assert received.keys() == WANTED[rank]
        for name, tensors in received.items():
            pairs = zip(tensors, given(name), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)
    assert [messages for _, messages in ranks] == [{1: 1, 3: 1}, {0: 1}, {0: 1, 3: 1}, {}]


def test_nothing_wanted_is_nothing_sent() -> None:
    def body(transport: ThreadTransport) -> int:
        assert hand_over(transport, {}, {}, {}) == {}
        sent = transport.ledger.sent()
        transport.close()
        return sum(what is Kind.WEIGHTS for what, _ in sent)

    assert run_ranks(2, body) == [0, 0]
