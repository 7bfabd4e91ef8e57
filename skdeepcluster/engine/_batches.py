"""Mini-batches of rows that can be had in any order."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from skdeepcluster.engine._rows import Rows


class ShuffledBatches:
    """Shuffled batches: one permutation an epoch, one gather each.

    Every row is drawn once an epoch. A tail of a single row joins the batch before it,
    because batch statistics of one row do not exist.

    Parameters
    ----------
    x : Rows of shape (n_samples, n_features)
    batch_size : int
    generator : torch.Generator
        The stream that shuffles (on the CPU, so that devices see the same order).
    """

    def __init__(self, x: Rows, batch_size: int, generator: torch.Generator) -> None:
        self.x = x
        self.generator = generator
        self.sizes = batch_sizes(len(x), batch_size)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.x), generator=self.generator)
        for index in order.to(self.x.device).split(self.sizes):
            yield self.x.index_select(0, index), index


def batch_sizes(n_samples: int, batch_size: int) -> list[int]:
    """Sizes of the batches of one epoch; they sum to `n_samples`."""
    full, tail = divmod(n_samples, batch_size)
    if full == 0:
        return [n_samples]
    sizes = [batch_size] * full
    if tail == 1:
        sizes[-1] += 1
    elif tail:
        sizes.append(tail)
    return sizes
