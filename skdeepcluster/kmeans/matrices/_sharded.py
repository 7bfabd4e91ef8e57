"""The rows of all processes as one matrix, of which this process reads its own.

What is one number a row (norms, labels, weights) is the same in every process, so that
all algorithms decide as if they were alone; what reads rows is done where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from skdeepcluster.kmeans.matrices._matrix import Centers, Matrix
from skdeepcluster.utils._group import Group, Shard


class ShardedMatrix:
    """Rows of this process, and where they are among those of all.

    Parameters
    ----------
    own : DenseMatrix or SparseMatrix of shape (n_own, d)
    group : Group
    """

    def __init__(self, own: Matrix, group: Group) -> None:
        self.shard = Shard(len(own), group)
        self.shape = self.shard.total, own.shape[1]
        self.own = own
        self.group = group
        self.x = own.x
        self.device, self.dtype, self.precision = own.device, own.dtype, own.precision
        self.read_rows, self.block_rows = own.read_rows, own.block_rows
        self.width = own.width
        self.norms = group.concat(own.norms)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def own_rows(self) -> slice:
        """Rows of this process among all."""
        return self.shard.own

    @property
    def centers_type(self) -> Callable[[Tensor], Any]:
        """Makes centres from their directions, (k, d)."""
        return self.own.centers_type

    def of_all(self, values: Tensor) -> Tensor:
        """Values of the own rows as those of all, (n, ...)."""
        return self.group.concat(values)

    def as_double(self) -> ShardedMatrix:
        """The same rows, multiplied in float64 on the CPU."""
        return ShardedMatrix(self.own.as_double(), self.group)

    def gather(self, index: Tensor) -> Tensor:
        """Rows as dense float64, (m, d), on the host."""
        own, place = self._own_of(index)
        out = torch.zeros(len(index), self.shape[1], dtype=torch.float64)
        out[place] = self.own.gather(own)
        return self.group.sum(out)

    def exact_products(self, index: Tensor, of: Tensor, centers: Centers) -> Tensor:
        """Products of the rows `index` with the centres `of`, pair by pair, float64."""
        own, place = self._own_of(index)
        out = torch.zeros(len(index), dtype=torch.float64)
        out[place] = self.own.exact_products(own, of[place], centers)
        return self.group.sum(out)

    def sums(
        self, labels: Tensor, scale: Tensor, n_clusters: int, **out: Tensor
    ) -> Tensor:
        """Sums of ``scale[i] * x[i]`` by label, float64, on the host."""
        rows = self.own_rows
        return self.group.sum(
            self.own.sums(labels[rows], scale[rows], n_clusters, **out)
        )

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Never: no process has all rows."""
        raise NotImplementedError(_NO_ROWS)

    def take(self, index: Tensor) -> Tensor:
        """Never: no process has all rows."""
        raise NotImplementedError(_NO_ROWS)

    def products(self, block: Tensor, centers: Centers) -> Tensor:
        """Products of a block's rows with the unit centres, (b, k), rounded."""
        return self.own.products(block, centers)

    def error(self, block: Tensor) -> float:
        """Bound on the error of `products`, relative to the norm of the row."""
        return self.own.error(block)

    def sums_of(
        self, index: Tensor, labels: Tensor, scale: Tensor, n_clusters: int
    ) -> Tensor:
        """Never: all sums are taken anew."""
        raise NotImplementedError(_NO_ROWS)

    def mixed_sums(self, rows: slice, memberships: Tensor) -> Tensor:
        """Never: no process has all rows."""
        raise NotImplementedError(_NO_ROWS)

    def _own_of(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Own rows among those of `index`: their own numbers, and their places."""
        rows = self.own_rows
        place = ((index >= rows.start) & (index < rows.stop)).nonzero().squeeze(1)
        return index[place] - rows.start, place


_NO_ROWS = "Blocks of rows are those of `own`."
