"""Bytes that are not what was written: single bits, and lengths."""

import numpy as np


def altered(whole, n_flips=200, n_cuts=40):
    """`whole` with a bit flipped, or cut; the first and last places among them."""
    rng = np.random.RandomState(0)
    ends = [*range(0, 8 * 24, 5), *range(-8 * 8, 0, 5)]
    bits = [*ends, *rng.randint(8 * len(whole), size=n_flips)]
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    for length in [*range(20), *rng.randint(len(whole), size=n_cuts)]:
        yield whole[:length]
    yield whole + b"\0"
