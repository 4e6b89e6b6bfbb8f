"""Devices that share an uplink, drawn at random."""

import numpy as np


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Seconds of computing, payloads in seconds per unit of bandwidth, and the budget."""
    chance = np.random.default_rng(seed)
    count = int(chance.integers(1, 8))
    return chance.uniform(0, 3, count), chance.uniform(0.01, 4, count), chance.uniform(0.5, 20)
