"""Rows of data for cosine k-means, CSR: never densified."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import consecutive
from skdeepcluster.kmeans.matrices._centers import SparseCenters
from skdeepcluster.kmeans.matrices._dense import is_regular, own_memory, product_error
from skdeepcluster.kmeans.matrices._whole import (
    LARGEST_BLOCK_ROWS,
    WholeMatrix,
    rows_of_product,
)

with warnings.catch_warnings():
    # Given once in a process, with the first tensor of this layout: that it is new.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1))


class SparseMatrix(WholeMatrix):
    """Rows of a CSR matrix.

    Parameters
    ----------
    x : csr_matrix or csr_array of shape (n, d), float32 or float64
        With 32 or 64 bit indices, sorted or not; left as it is.
    device : torch.device
        Where products are taken.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        Arithmetic of `products`; sparse products have no "bfloat16" and take float32.
    """

    centers_type = SparseCenters

    def __init__(
        self,
        x: sp.csr_matrix,
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.x = _in_range(x)
        self.shape = x.shape
        self.device = torch.device(device)
        self.precision = "float64" if precision == "float64" else "float32"
        self.dtype = getattr(torch, self.precision)
        self.read_rows = LARGEST_BLOCK_ROWS
        self.block_rows = rows_of_product(1, self.device)
        self._indices = torch.from_numpy(
            own_memory(x.indices.astype(np.int32, copy=False))
        )
        self._values = torch.from_numpy(own_memory(self.x.data)).to(self.dtype)
        self._blocks: list[tuple[slice, Tensor]] | None = None
        self._norms: Tensor | None = None

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def width(self) -> float:
        """Stored entries of a row, in the mean."""
        return float(self.x.nnz / max(1, len(self)))

    @property
    def norms(self) -> Tensor:
        """Euclidean norms, (n,), float64, on the host."""
        if self._norms is None:
            self._norms = _norms(self.x)
        return self._norms

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices with their rows, as CSR tensors that share the memory of the data."""
        if self._blocks is None:
            slices = consecutive(len(self), self.block_rows)
            self._blocks = [(rows, self._block(rows)) for rows in slices]
        yield from self._blocks

    def take(self, index: Tensor) -> Tensor:
        """Block of the rows of `index`, (m,), in its order."""
        x = self.x[index.numpy()]
        parts = (x.indptr.astype(np.int32), x.indices.astype(np.int32), x.data)
        crow, col, values = map(torch.from_numpy, parts)
        return self._tensor(crow, col, values.to(self.dtype), len(index))

    def products(self, block: Tensor, centers: SparseCenters) -> Tensor:
        """Products of a block's rows with the unit centres, (b, k), rounded."""
        product = block @ centers.operand(self.dtype, self.device)
        return product.mul_(centers.inverse_norms(self.dtype, self.device))

    def error(self, block: Tensor) -> float:
        """Bound on the error of `products`, relative to the norm of the row."""
        longest = int(block.crow_indices().diff().max()) if len(block) else 0
        return product_error(longest, self.precision)

    def exact_products(
        self, index: Tensor, of: Tensor, centers: SparseCenters
    ) -> Tensor:
        """Products of the rows `index` with the centres `of`, pair by pair, float64."""
        rows, columns, values = self.entries(index)
        out = torch.zeros(len(index), dtype=torch.float64)
        out.index_add_(0, rows, values * centers.columns[columns, of[rows]])
        return out / centers.norms.clamp(min=5e-324)[of]

    def gather(self, index: Tensor) -> Tensor:
        """Rows as dense float64, (m, d), on the host."""
        return torch.from_numpy(self.x[index.numpy()].astype(np.float64).toarray())

    def entries(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Stored entries of rows: place in `index`, column, float64 value."""
        x = self.x[index.numpy()]
        lengths = torch.from_numpy(np.diff(x.indptr).astype(np.int64))
        rows = torch.repeat_interleave(torch.arange(len(index)), lengths)
        columns = torch.from_numpy(x.indices.astype(np.int64))
        return rows, columns, torch.from_numpy(x.data.astype(np.float64))

    def sums(
        self,
        labels: Tensor,
        scale: Tensor,
        n_clusters: int,
        out: Tensor | None = None,
    ) -> Tensor:
        """Sums of ``scale[i] * x[i]`` by label, (k, d), float64, on the host.

        Every cluster is summed in the order of its rows, whatever the thread count.
        `out`, (d, k), is overwritten with them, where it is given.
        """
        if out is None:
            out = torch.empty(self.shape[1], n_clusters, dtype=torch.float64)
        flat = out.zero_().view(-1)
        for rows in self.slices():
            start, stop = self.x.indptr[rows.start], self.x.indptr[rows.stop]
            lengths = torch.from_numpy(
                np.diff(self.x.indptr[rows.start : rows.stop + 1])
            )
            weights = scale[rows].repeat_interleave(lengths)
            values = weights * torch.from_numpy(own_memory(self.x.data[start:stop]))
            at = labels[rows].repeat_interleave(lengths)
            at.add_(self._indices[start:stop], alpha=n_clusters)
            flat.index_add_(0, at, values)
        return flat.view(self.shape[1], n_clusters).t()

    def sums_of(
        self, index: Tensor, labels: Tensor, scale: Tensor, n_clusters: int
    ) -> Tensor:
        """Sums as `sums` gives them, of the rows `index` alone; (m,) all three."""
        rows, columns, values = self.entries(index)
        flat = torch.zeros(self.shape[1] * n_clusters, dtype=torch.float64)
        flat.index_add_(0, columns * n_clusters + labels[rows], values * scale[rows])
        return flat.view(self.shape[1], n_clusters).t()

    def mixed_sums(self, rows: slice, memberships: Tensor) -> Tensor:
        """``memberships.T @ x[rows]``, (k, d), float64, on the host."""
        x = self.x[rows].astype(np.float64)
        return torch.from_numpy(np.ascontiguousarray((x.T @ memberships.numpy()).T))

    def _block(self, rows: slice) -> Tensor:
        start, stop = self.x.indptr[rows.start], self.x.indptr[rows.stop]
        pointers = self.x.indptr[rows.start : rows.stop + 1] - start
        crow = torch.from_numpy(pointers.astype(np.int32))
        values = self._values[start:stop]
        return self._tensor(crow, self._indices[start:stop], values, len(crow) - 1)

    def _tensor(self, crow: Tensor, col: Tensor, values: Tensor, n: int) -> Tensor:
        return torch.sparse_csr_tensor(
            crow, col, values, (n, self.shape[1]), check_invariants=False
        ).to(self.device)


def _row_numbers(x: sp.csr_matrix) -> np.ndarray:
    return np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))


def _norms(x: sp.csr_matrix) -> Tensor:
    values = torch.from_numpy(own_memory(x.data)).to(torch.float64)
    squares = torch.zeros(x.shape[0], dtype=torch.float64)
    rows = torch.from_numpy(_row_numbers(x))
    return squares.index_add_(0, rows, values.square()).sqrt_()


def _in_range(x: sp.csr_matrix) -> sp.csr_matrix:
    """Itself, or where a row is beyond the range of float32, multiples near 1."""
    odd = ~is_regular(_norms(x)).numpy()
    if not odd.any() or not x.data[odd[_row_numbers(x)]].any():
        return x
    largest = np.zeros(x.shape[0])
    np.maximum.at(largest, _row_numbers(x), np.abs(x.data))
    _, exponents = np.frexp(largest)
    values = np.ldexp(x.data.astype(np.float64), -exponents[_row_numbers(x)])
    return type(x)((values, x.indices, x.indptr), shape=x.shape)
