"""How large the messages of MPI are that a body is cut into."""

import numpy as np
import pytest

from mpiedge.comm.traffic import AT_ONCE, pieces

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "far", "count"),
    [
        (AT_ONCE, True, 1),
        (MIB, True, 9),
        (4 * MIB, True, 34),
        (4 * MIB + 1, True, 2),  # what asks first is not cut smaller
        (MIB, False, 1),
        (9 * MIB, False, 3),
    ],
)
def test_a_body_in_pieces(size: int, far: bool, count: int) -> None:
    memory = np.arange(size, dtype=np.uint8)
    cut = list(pieces(memory, far))
    assert len(cut) == count
    assert np.array_equal(np.concatenate(cut), memory)
    assert max(map(len, cut)) <= (AT_ONCE if far and size <= 4 * MIB else 4 * MIB)
