"""What a device sends: everything but the text."""

import torch

from mpiedge.comm.transport import Kind, Tag
from mpiedge.comm.wire import encode
from mpiedge.pipeline.smashed import Smashed, blanked, padded, read, written
from mpiedge.task.task import Encoded

EXAMPLES = (
    Encoded((5, 6, 7), (0, 0, 1), (), 2),
    Encoded((8,), (), (1, 2), 0.25),
    Encoded((9, 10), (), (), 1),
)


def smashed() -> Smashed:
    hidden = torch.arange(12.0).reshape(1, 6, 2)
    return Smashed((4, 0, 9), tuple(map(blanked, EXAMPLES)), hidden)


def test_a_message_has_all_but_tokens() -> None:
    found = read(written(smashed()))
    assert found.numbers == (4, 0, 9)
    assert [len(answer.tokens) for answer in found.answers] == [3, 1, 2]
    assert [answer.label for answer in found.answers] == [2, 0.25, 1]
    assert [answer.target for answer in found.answers] == [(), (1, 2), ()]
    assert torch.equal(found.hidden, smashed().hidden)
    assert {token for answer in found.answers for token in answer.tokens} == {0}
    assert all(answer.types == () for answer in smashed().answers)


def test_rows_and_padding() -> None:
    rows = smashed().rows()
    assert [len(row) for row in rows] == [3, 1, 2]
    for left in (False, True):
        mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0]])
        mask = mask.flip(1) if left else mask
        wide = padded(rows, mask)
        assert wide.shape == (3, 3, 2)
        assert torch.equal(wide[mask != 0], torch.cat(rows))
        assert bool((wide[mask == 0] == 0).all())


def test_the_bytes_of_a_message_are_those_of_the_formula() -> None:
    for rows, tokens, width in ((1, 40, 64), (8, 1000, 32)):
        answers = tuple(blanked(Encoded((1,) * (tokens // rows))) for _ in range(rows))
        made = Smashed(tuple(range(rows)), answers, torch.zeros(1, tokens, width))
        size = encode(written(made), Tag(Kind.ACTIVATION)).size()
        # docs/split.md: 296 bytes, 32 an example, 8 a target token, and the hidden states.
        assert size == 296 + 32 * rows + 4 * tokens * width
