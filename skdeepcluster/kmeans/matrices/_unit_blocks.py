"""Rows of length 1, block by block, in products of which a row's bits are its own.

The rows of `DenseMatrix` and `SparseMatrix` are divided by their norms as they are
read. Dense blocks have one shape, the last one padded, inner dimensions that are a
multiple of four, and the directions they are multiplied with as rows, not as columns:
otherwise matrix products round by where a row stands (measured, MKL). Sparse rows are
multiplied one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import consecutive
from skdeepcluster.kmeans.matrices._dense import DenseMatrix
from skdeepcluster.kmeans.matrices._sparse import SparseMatrix
from skdeepcluster.kmeans.matrices._whole import BLOCK_ELEMENTS
from skdeepcluster.utils._linear import INNER_MULTIPLE, fast_linear

# Of an accelerator four times as many: launches weigh more there, but a row that comes
# alone is padded to a block as well.
_LARGEST_BLOCK_ROWS, _DEVICE_FACTOR = 1024, 4
_SMALLEST_BLOCK_ROWS = 16


class DenseUnitBlocks:
    """Unit rows of a dense matrix; rows of zeros stay zero."""

    def __init__(self, matrix: DenseMatrix) -> None:
        self.matrix = matrix
        # Apple's GPUs have no float64, in which sums are taken.
        self._on_host = matrix.device.type in ("cpu", "mps")
        self.block_rows = _block_rows(matrix.shape[1], self._on_host)
        self._missing = -matrix.shape[1] % INNER_MULTIPLE

    def operand(self, directions: np.ndarray) -> Tensor:
        """Directions, (k, d), as the other factor of `cosines`."""
        padded = np.pad(directions, ((0, 0), (0, self._missing)))
        return torch.from_numpy(padded).to(self.matrix.device, self.matrix.dtype)

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices with their unit rows, (B, d + padding), float64."""
        for rows in consecutive(len(self.matrix), self.block_rows):
            yield rows, self._block(rows)

    def cosines(self, block: Tensor, operand: Tensor) -> np.ndarray:
        """Products with the directions, (B, k), float64; rows past the last are 0."""
        products = fast_linear(block.to(operand.device, operand.dtype), operand)
        return products.cpu().numpy().astype(np.float64, copy=False)

    def sums(self, block: Tensor, memberships: np.ndarray) -> Tensor:
        """``memberships.T @ rows``, (k, d), float64; `memberships` are (b, k)."""
        left = torch.from_numpy(memberships).to(block.device)
        summed = left.T @ block[: len(left)]
        return summed[:, : self.matrix.shape[1]].cpu()

    def _block(self, rows: slice) -> Tensor:
        norms = self.matrix.norms[rows, None]
        norms = torch.where(norms > 0, norms, 1.0)
        width = self.matrix.shape[1]
        shape = (self.block_rows, width + self._missing)
        if self._on_host:
            padded = np.zeros(shape)
            inner = padded[: len(norms), :width]
            np.divide(self.matrix.x[rows], norms.numpy(), out=inner)
            return torch.from_numpy(padded)
        index = torch.arange(rows.start, rows.stop)
        x = self.matrix.take(index).to(torch.float64)
        block = x.new_zeros(shape)
        block[: len(x), :width] = x / norms.to(x.device)
        return block


def _block_rows(width: int, on_host: bool) -> int:
    rows = _LARGEST_BLOCK_ROWS
    while rows > _SMALLEST_BLOCK_ROWS and rows * width > BLOCK_ELEMENTS:
        rows //= 2
    return rows if on_host else rows * _DEVICE_FACTOR


class SparseUnitBlocks:
    """Unit rows of a CSR matrix, in float64 and on the host."""

    def __init__(self, matrix: SparseMatrix) -> None:
        self.matrix = matrix

    def operand(self, directions: np.ndarray) -> Tensor:
        """Directions, (k, d), as the other factor of `cosines`."""
        return torch.from_numpy(np.ascontiguousarray(directions.T))

    def __iter__(self) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Slices with their unit rows, (b, d), float64."""
        for rows in self.matrix.slices():
            x = self.matrix.x[rows]
            norms = np.repeat(self.matrix.norms[rows].numpy(), np.diff(x.indptr))
            values = x.data / np.where(norms > 0, norms, 1)
            yield rows, sp.csr_matrix((values, x.indices, x.indptr), shape=x.shape)

    def cosines(self, block: sp.csr_matrix, operand: Tensor) -> np.ndarray:
        """Products with the directions, (b, k), float64."""
        return np.asarray(block @ operand.numpy())

    def sums(self, block: sp.csr_matrix, memberships: np.ndarray) -> Tensor:
        """``memberships.T @ rows``, (k, d), float64."""
        return torch.from_numpy(np.asarray(block.T @ memberships)).T


UnitBlocks = DenseUnitBlocks | SparseUnitBlocks


def unit_blocks(matrix: DenseMatrix | SparseMatrix) -> UnitBlocks:
    """Unit rows of a data set, block by block."""
    if isinstance(matrix, SparseMatrix):
        return SparseUnitBlocks(matrix)
    return DenseUnitBlocks(matrix)
