"""The checksum of a record."""

import numpy as np
import pytest

from mpiedge.store.checksum import Bytes, checksum
from mpiedge.store.record import Label

LABEL = Label(7, 0, 3, 20, 0)


@pytest.fixture
def rows() -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (60, 64), dtype=np.uint8)


def test_every_flipped_bit_is_seen(rows: Bytes) -> None:
    found = {checksum(LABEL, rows)}
    for place in range(0, rows.size, 3):
        for bit in (0, 5, 7):
            rows.flat[place] ^= 1 << bit
            found.add(checksum(LABEL, rows))
            rows.flat[place] ^= 1 << bit
    assert len(found) == 1 + 3 * len(range(0, rows.size, 3))


@pytest.mark.parametrize("same_row", [True, False])
def test_two_changes_that_cancel_in_a_sum_are_seen(same_row: bool, rows: Bytes) -> None:
    words = rows.view(np.uint64)
    before = checksum(LABEL, rows)
    words[3, 1] += np.uint64(12345)
    words[(3, 2) if same_row else (4, 1)] -= np.uint64(12345)
    assert checksum(LABEL, rows) != before


def test_what_stands_elsewhere_is_seen(rows: Bytes) -> None:
    before = checksum(LABEL, rows)
    assert checksum(LABEL, np.roll(rows, 1, axis=0)) != before
    assert checksum(LABEL, np.roll(rows, 8, axis=1)) != before
    assert checksum(LABEL, np.roll(rows.reshape(-1), 1).reshape(rows.shape)) != before


@pytest.mark.parametrize("field", Label._fields)
def test_a_record_of_something_else_has_another(field: str, rows: Bytes) -> None:
    other = LABEL._replace(**{field: getattr(LABEL, field) + 1})
    assert checksum(other, rows) != checksum(LABEL, rows)


def test_nothing_has_a_checksum_too() -> None:
    empty = np.empty((0, 64), dtype=np.uint8)
    assert 0 <= checksum(LABEL, empty) < 1 << 32
