"""Dividing a row of like things over ranks: how many each gets, and which."""

from collections.abc import Sequence


def apportion(total: int, shares: Sequence[float]) -> tuple[int, ...]:
    """``total`` things divided in proportion to ``shares``, at least one each.

    Largest remainders; raises ValueError when there are fewer things than shares.
    """
    if total < len(shares):
        raise ValueError(f"{total} things cannot give one each to {len(shares)} shares")
    exact = [share / sum(shares) * total for share in shares]
    counts = [max(1, int(part)) for part in exact]
    while sum(counts) != total:
        step = 1 if sum(counts) < total else -1
        able = [i for i in range(len(counts)) if counts[i] + step >= 1]
        chosen = max(able, key=lambda i: (step * (exact[i] - counts[i]), -i))
        counts[chosen] += step
    return tuple(counts)


def deal(counts: Sequence[int]) -> tuple[int, ...]:
    """Indices, ``counts[i]`` times ``i``, spread as evenly as can be."""
    return tuple(i for _, i in sorted(turns(counts)))


def turns(counts: Sequence[int]) -> tuple[tuple[float, int], ...]:
    """When, between 0 and 1, each index has its turns: ``counts[i]`` of them, evenly."""
    return tuple(
        ((turn + 0.5) / count, i) for i, count in enumerate(counts) for turn in range(count)
    )
