"""Rows of data for cosine k-means, dense: read in blocks, never copied whole.

`DenseMatrix` here and `SparseMatrix` beside it answer the same few questions, so that
every algorithm is written once: the norms of the rows, their products with centres,
and their weighted sums. A block is what a matrix product takes; products are rounded,
`exact_products` are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from skdeepcluster.kmeans._rows import consecutive
from skdeepcluster.kmeans.matrices._centers import DenseCenters
from skdeepcluster.kmeans.matrices._whole import (
    BLOCK_ELEMENTS,
    WholeMatrix,
    rows_of_product,
    rows_to_read,
)
from skdeepcluster.utils._ahead import done_ahead
from skdeepcluster.utils._linear import fast_linear
from skdeepcluster.utils._stored import StoredRows, is_on_disk

# Norms outside leave the range in which float32 rounds relatively.
_SMALLEST_NORM, _LARGEST_NORM = 1e-25, 1e30
# One unit in the last place of what a product may round its factors to.
_ROUNDING = {"highest": 2.0**-24, "high": 2.0**-11, "medium": 2.0**-8}


def float32_rounding() -> float:
    """Relative rounding error of a factor in the float32 products of this process."""
    return _ROUNDING[torch.get_float32_matmul_precision()]


def product_error(length: int, precision: str) -> float:
    """Bound on the error of a product of `length` terms of a row and a unit vector.

    Relative to the norm of the row: two roundings of each factor, then those of the
    sum in any order. "bfloat16" claims none: what it rounds to is its answer.
    """
    if precision == "bfloat16":
        return 0.0
    unit = 2.0**-53 if precision == "float64" else 2.0**-24
    factor = unit if precision == "float64" else float32_rounding()
    return 4 * factor + (length + 4) * unit


class DenseMatrix(WholeMatrix):
    """Rows of a dense array.

    Parameters
    ----------
    x : {ndarray, StoredRows} of shape (n, d), float16, float32 or float64
        In memory or on disk; read in blocks, left as it is. Copied only where a row is
        beyond the range of float32: rows of the copy are multiples of length near 1.
    device : torch.device
        Where products are taken. Memory of another device than the CPU holds all rows.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        Arithmetic of `products`.
    """

    centers_type = DenseCenters

    def __init__(
        self,
        x: np.ndarray | StoredRows,
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.x = x
        self.shape = x.shape
        self.device = torch.device(device)
        self.precision = precision
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self.read_rows = rows_to_read(x.shape[1])
        self.block_rows = rows_of_product(x.shape[1], self.device)
        self._norms: Tensor | None = None
        if self._beyond_range():
            self.x, self._norms = _rescaled(x[:]), None
        self._resident = None
        if self.device.type != "cpu":
            rows_on_host = torch.from_numpy(own_memory(self.x[:]))
            self._resident = rows_on_host.to(self.device, self.dtype)

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def width(self) -> float:
        """Entries of a row."""
        return self.shape[1]

    @property
    def norms(self) -> Tensor:
        """Euclidean norms, (n,), float64, on the host."""
        if self._norms is None:
            # Filled in: small tensors in a list keep the freed blocks between them.
            self._norms = torch.empty(len(self), dtype=torch.float64)
            for rows in self.slices():
                self._norms[rows] = _norms(self._read(rows))
        return self._norms

    def _beyond_range(self) -> bool:
        """Whether rows are so long or short that float32 cannot take them."""
        odd = (~is_regular(self.norms)).nonzero().squeeze(1).numpy()
        parts = consecutive(len(odd), self.read_rows)
        return any(bool(self.x[odd[part]].any()) for part in parts)

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices with their rows; mapped files are read ahead."""
        if self._resident is not None:
            slices = consecutive(len(self), self.block_rows)
            yield from ((rows, self._resident[rows]) for rows in slices)
            return
        if not is_on_disk(self.x):
            yield from ((rows, self._block(rows)) for rows in self.slices())
            return
        blocks = done_ahead(partial(self._block, rows) for rows in self.slices())
        yield from zip(self.slices(), blocks, strict=True)

    def take(self, index: Tensor) -> Tensor:
        """Block of the rows of `index`, (m,), in its order."""
        if self._resident is not None:
            return self._resident.index_select(0, index.to(self.device))
        if _shares(self.x):
            whole = torch.from_numpy(self.x)
            return whole.index_select(0, index).to(self.dtype)
        return self._to_block(self.x[index.numpy()])

    def products(self, block: Tensor, centers: DenseCenters) -> Tensor:
        """Products of a block's rows with the unit centres, (b, k), rounded."""
        if self.precision == "bfloat16":
            unit = centers.unit_as(torch.bfloat16, self.device)
            return linear(unit, block.to(torch.bfloat16)).float().t()
        return fast_linear(centers.unit_as(self.dtype, self.device), block).t()

    def error(self, block: Tensor) -> float:
        """Bound on the error of `products`, relative to the norm of the row."""
        return product_error(self.shape[1], self.precision)

    def exact_products(
        self, index: Tensor, of: Tensor, centers: DenseCenters
    ) -> Tensor:
        """Products of the rows `index` with the centres `of`, pair by pair, float64."""
        unit = centers.unit()  # (k, d)
        step = max(1, BLOCK_ELEMENTS // self.shape[1])
        out = torch.empty(len(index), dtype=torch.float64)
        for part in consecutive(len(index), step):
            out[part] = (self.gather(index[part]) * unit[of[part]]).sum(1)
        return out

    def gather(self, index: Tensor) -> Tensor:
        """Rows as dense float64, (m, d), on the host."""
        return torch.from_numpy(np.asarray(self.x[index.numpy()], dtype=np.float64))

    def sums(self, labels: Tensor, scale: Tensor, n_clusters: int) -> Tensor:
        """Sums of ``scale[i] * x[i]`` by label, (k, d), float64, on the host.

        Every cluster is summed in the order of its rows, whatever the thread count.
        """
        out = torch.zeros(n_clusters, self.shape[1], dtype=torch.float64)
        # One buffer for all blocks: new memory costs as much as the product.
        buffer = torch.empty(self.read_rows, self.shape[1], dtype=torch.float64)
        for rows in self.slices():
            scaled = buffer[: rows.stop - rows.start].copy_(self._read(rows))
            out.index_add_(0, labels[rows], scaled.mul_(scale[rows, None]))
        return out

    def sums_of(
        self, index: Tensor, labels: Tensor, scale: Tensor, n_clusters: int
    ) -> Tensor:
        """Sums as `sums` gives them, of the rows `index` alone; (m,) all three."""
        out = torch.zeros(n_clusters, self.shape[1], dtype=torch.float64)
        for rows in consecutive(len(index), self.read_rows):
            scaled = self.gather(index[rows]).mul_(scale[rows, None])
            out.index_add_(0, labels[rows], scaled)
        return out

    def mixed_sums(self, rows: slice, memberships: Tensor) -> Tensor:
        """``memberships.T @ x[rows]``, (k, d), float64, on the host."""
        return memberships.T @ self._read(rows).to(torch.float64)

    def _block(self, rows: slice) -> Tensor:
        return self._to_block(self.x[rows])

    def _to_block(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(own_memory(x)).to(self.device, self.dtype)

    def _read(self, rows: slice) -> Tensor:
        """Rows in their own dtype, on the host."""
        return torch.from_numpy(own_memory(self.x[rows]))


def _norms(x: Tensor) -> Tensor:
    # By numpy: torch splits the sum over a long row between threads.
    squares = x.to(torch.float64).square().numpy()
    return torch.from_numpy(squares.sum(axis=1)).sqrt()


def is_regular(norms: Tensor) -> Tensor:
    """Whether products of rows of these norms round relatively."""
    return (norms >= _SMALLEST_NORM) & (norms <= _LARGEST_NORM)


def _rescaled(x: np.ndarray) -> np.ndarray:
    """Copy with each row multiplied by the power of two that brings it near 1."""
    x = np.array(x, dtype=np.float64)
    _, exponents = np.frexp(np.abs(x).max(axis=1))
    return np.ldexp(x, -exponents[:, None])


def _shares(x: np.ndarray | StoredRows) -> bool:
    """Whether torch can look at the memory itself, and round as it always does."""
    return bool(
        isinstance(x, np.ndarray)
        and x.flags.writeable
        and x.flags.aligned
        and x.flags.c_contiguous
        and x.dtype.isnative
        and x.dtype != np.float16
    )


def own_memory(x: np.ndarray) -> np.ndarray:
    """Array that torch can look at: a copy where need be."""
    return x if _shares(x) else np.array(x, x.dtype.newbyteorder("="), order="C")
