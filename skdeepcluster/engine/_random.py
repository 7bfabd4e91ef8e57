"""One independent random stream per purpose, all derived from one seed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# Construction of foreign modules borrows torch's global generator; two fits in two
# threads must not do so at once.
_GLOBAL_GENERATOR = RLock()


class RandomStreams:
    """Independent generators by purpose: ``"weights"``, ``"batches"``, ``"kmeans"``.

    A purpose's numbers depend on the seed and its name alone, so that drawing more
    from one stream (more clusters, more restarts) never moves another.

    Parameters
    ----------
    seed : int
        The seed all streams derive from.
    """

    def __init__(self, seed: int) -> None:
        self.entropy = seed

    @classmethod
    def from_random_state(cls, random_state: Any) -> RandomStreams:
        """Streams for scikit-learn's ``random_state``.

        ``None`` takes fresh entropy from the operating system, not from numpy's global
        generator: a fit leaves the global generators as it found them.
        """
        if random_state is None:
            return cls(int(np.random.SeedSequence().generate_state(1)[0]))
        drawn = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        return cls(int(drawn))

    def seed(self, purpose: str) -> int:
        """Seed of the stream called `purpose`."""
        key = [self.entropy, zlib.crc32(purpose.encode())]
        return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)

    def generator(self, purpose: str, device: str = "cpu") -> torch.Generator:
        """Return a fresh generator of the stream called `purpose`."""
        return torch.Generator(device=device).manual_seed(self.seed(purpose))


@contextmanager
def borrowed_global_generator(seed: int) -> Iterator[None]:
    """Seed torch's global generator for a block and put its state back after it.

    Only for code that cannot be given a generator: a user's architecture whose layers
    draw their own initial weights.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
