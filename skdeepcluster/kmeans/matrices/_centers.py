"""Centres of cosine k-means: sums of unit rows, of which the direction counts.

Kept as float64 sums per cluster, so that rows that change their cluster can be moved
from one sum to another; ``norms`` are the sums' lengths, whose total is the criterion
that spherical k-means maximises. In `SparseCenters` nothing of the size of the centres
is computed but where a moved row has entries.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from skdeepcluster.utils._reduce import Reduce

# A sum so short beside its rows' weight is what rounding leaves of a sum of zero.
_CANCELLED = 1e-12
# Norms of operands of float32 stay below, where few rows outweigh those before them.
_LARGEST_OPERAND = 2.0**32


class SummedRows(Protocol):
    """What `DenseCenters` ask of a matrix."""

    def sums(self, labels: Tensor, scale: Tensor, n_clusters: int) -> Tensor:
        """Weighted sums of all rows by label, (k, d)."""

    def sums_of(
        self, index: Tensor, labels: Tensor, scale: Tensor, n_clusters: int
    ) -> Tensor:
        """Weighted sums of rows by label, (k, d)."""


class SparseRows(Protocol):
    """What `SparseCenters` ask of a matrix."""

    def sums(
        self,
        labels: Tensor,
        scale: Tensor,
        n_clusters: int,
        out: Tensor | None = None,
    ) -> Tensor:
        """Weighted sums of all rows by label, (k, d); in `out`, (d, k), if given."""

    def entries(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Stored entries of rows: place in `index`, column, float64 value."""


class DenseCenters:
    """Centres of dense rows.

    Parameters
    ----------
    sums : Tensor of shape (k, d), float64
        Sums of unit rows, or any vectors of the centres' directions.
    """

    def __init__(self, sums: Tensor) -> None:
        self.sums = sums
        self.norms = torch.linalg.vector_norm(sums, dim=1)
        self._unit: Tensor | None = None
        self._casts: dict[torch.dtype, Tensor] = {}

    def __len__(self) -> int:
        return len(self.norms)

    def unit(self) -> Tensor:
        """Unit centres, (k, d), float64, on the host."""
        if self._unit is None:
            self._unit = self.sums / self.norms.clamp(min=5e-324)[:, None]
        return self._unit

    def unit_as(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Unit centres in another dtype, on a device."""
        if dtype not in self._casts:
            self._casts[dtype] = self.unit().to(device, dtype)
        return self._casts[dtype]

    def moved(
        self,
        matrix: SummedRows,
        index: Tensor,
        before: Tensor,
        after: Tensor,
        scale: Tensor,
    ) -> DenseCenters:
        """Centres once the rows `index` have changed from one cluster to another.

        Parameters
        ----------
        matrix : DenseMatrix
        index : Tensor of shape (m,)
        before, after : Tensor of shape (m,)
            Their clusters; -1 before the first.
        scale : Tensor of shape (m,)
            Weight of each row over its norm.
        """
        k = len(self)
        sums = self.sums + matrix.sums_of(index, after, scale, k)
        old = before >= 0
        sums -= matrix.sums_of(index[old], before[old], scale[old], k)
        return DenseCenters(sums)

    def recomputed(
        self, matrix: SummedRows, labels: Tensor, scale: Tensor, reduce: Reduce
    ) -> DenseCenters:
        """Centres of these labels, (n,), from all rows."""
        return DenseCenters(reduce(matrix.sums(labels, scale, len(self))))

    def with_direction(self, j: int, direction: Tensor) -> DenseCenters:
        """Centres of which the `j`-th points elsewhere."""
        sums = self.sums.clone()
        sums[j] = direction
        return DenseCenters(sums)


class SparseCenters:
    """Centres of sparse rows, as (d, k) for products with them; changed in place.

    Attributes
    ----------
    turned : Tensor of shape (k,), float64
        Angles by which the centres have turned, all moves together, at most.
    """

    def __init__(self, sums: Tensor) -> None:
        self.turned = torch.zeros(len(sums), dtype=torch.float64)
        self._operands: dict[torch.dtype, Tensor] = {}
        self._set(sums.t().contiguous())

    def _set(self, columns: Tensor) -> None:
        self.columns = columns  # (d, k), float64
        self.norms = torch.linalg.vector_norm(columns, dim=0)
        self._rescale()

    def _rescale(self) -> None:
        # Powers of two, so that no operand leaves the range of float32.
        self._scales = torch.exp2(-torch.frexp(self.norms).exponent.double())
        for operand in self._operands.values():
            if operand.device.type == "cpu":  # in place: new pages cost as much again
                torch.mul(self.columns, self._scales, out=operand)
            else:
                operand.copy_(self.columns * self._scales)

    def __len__(self) -> int:
        return len(self.norms)

    @property
    def sums(self) -> Tensor:
        """Sums as (k, d)."""
        return self.columns.t()

    def unit(self) -> Tensor:
        """Unit centres, (k, d), float64, on the host."""
        return (self.columns / self.norms.clamp(min=5e-324)).t().contiguous()

    def operand(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Multiples of the sums, (d, k), in another dtype, on a device."""
        if dtype not in self._operands:
            self._operands[dtype] = (self.columns * self._scales).to(device, dtype)
        return self._operands[dtype]

    def inverse_norms(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """What products with `operand` are multiplied by."""
        return (1 / (self.norms * self._scales).clamp(min=5e-324)).to(device, dtype)

    def moved(
        self,
        matrix: SparseRows,
        index: Tensor,
        before: Tensor,
        after: Tensor,
        scale: Tensor,
    ) -> SparseCenters:
        """Centres once the rows `index` have changed from one cluster to another.

        As `DenseCenters.moved`, but these very centres change.
        """
        rows, columns, values = matrix.entries(index)
        values = values * scale[rows]
        old = before[rows] >= 0
        self._add(
            torch.cat([columns, columns[old]]),
            torch.cat([after[rows], before[rows][old]]),
            torch.cat([values, -values[old]]),
        )
        return self

    def _add(self, columns: Tensor, clusters: Tensor, values: Tensor) -> None:
        flat, at = self.columns.view(-1), columns * len(self) + clusters
        before = flat[at]
        flat.index_add_(0, at, values)
        after = flat[at]
        # Where several values meet, their parts add up to the change of the square.
        squares = self.norms.square()
        squares.index_add_(0, clusters, values * (before + after))
        lengths = torch.zeros_like(squares)
        lengths.index_add_(0, clusters, values * (after - before))
        norms = squares.clamp_(min=0).sqrt_()
        self.turned = self.turned + _angles(self.norms, norms, lengths)
        self.norms = norms
        scaled = after * self._scales[clusters]
        for operand in self._operands.values():
            operand.view(-1)[at.to(operand.device)] = scaled.to(operand)
        if float((norms * self._scales).max()) > _LARGEST_OPERAND:
            self._rescale()

    def recomputed(
        self, matrix: SparseRows, labels: Tensor, scale: Tensor, reduce: Reduce
    ) -> SparseCenters:
        """Centres of these labels, (n,), from all rows; these very centres change."""
        sums = matrix.sums(labels, scale, len(self), out=self.columns)
        self.turned = self.turned + torch.pi  # anything
        self._set(reduce(sums).t())
        return self

    def with_direction(self, j: int, direction: Tensor) -> SparseCenters:
        """Let the `j`-th centre point elsewhere."""
        columns = self.columns
        columns[:, j] = direction
        self.turned = self.turned.clone()
        self.turned[j] += torch.pi
        self._set(columns)
        return self


def cancelled(norms: Tensor, weights: Tensor) -> list[int]:
    """Clusters whose rows point in opposite directions and leave no sum."""
    return (norms <= _CANCELLED * weights).nonzero().squeeze(1).tolist()


def _angles(a: Tensor, b: Tensor, squares: Tensor) -> Tensor:
    """Angles between vectors of lengths a and b, their difference's square given.

    Rounded up: where the vectors differ in length only, the difference cancels.
    """
    rest = squares * (1 + 1e-9) - (a - b).square()
    sine = rest / (4 * a * b) + 1e-14 * squares.clamp(min=0).sqrt() / b
    sine = sine.nan_to_num(1.0).clamp(0, 1).sqrt()
    return torch.where(squares == 0, 0.0, 2 * sine.asin())
