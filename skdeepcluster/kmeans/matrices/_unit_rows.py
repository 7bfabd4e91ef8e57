"""Some rows as unit vectors in float64, for moves one by one: dense or CSR."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans.matrices._centers import SparseCenters
from skdeepcluster.kmeans.matrices._matrix import Centers, Matrix
from skdeepcluster.kmeans.matrices._sparse import SparseMatrix


def raw_sums(centers: Centers) -> np.ndarray:
    """Sums of the clusters in the layout of their centres: not to be changed."""
    if isinstance(centers, SparseCenters):
        return centers.columns.numpy()
    return centers.sums.numpy()


class DenseRows:
    """Unit rows, dense.

    Parameters
    ----------
    matrix : Matrix of shape (n, d)
    rows : Tensor of shape (m,), int64
        None of them zero.

    The methods take sums as `raw_sums` gives them, (k, d).
    """

    def __init__(self, matrix: Matrix, rows: Tensor) -> None:
        self.unit = (matrix.gather(rows) / matrix.norms[rows, None]).numpy()  # (m, d)

    def all_products(self, sums: np.ndarray) -> np.ndarray:
        """Products of the rows with the sums, (k, m)."""
        return sums @ self.unit.T

    def row_products(self, b: int) -> np.ndarray:
        """Products of the rows with one of them, (m,)."""
        return self.unit @ self.unit[b]

    def sum_products(self, sums: np.ndarray, b: int) -> np.ndarray:
        """Products of the sums with one row, (k,)."""
        return sums @ self.unit[b]

    def move(self, sums: np.ndarray, b: int, weight: float, i: int, j: int) -> None:
        """Take a row from one sum and add it to another, in place."""
        sums[i] -= weight * self.unit[b]
        sums[j] += weight * self.unit[b]


class SparseRows:
    """Unit rows, CSR; as `DenseRows`, with sums of shape (d, k)."""

    def __init__(self, matrix: SparseMatrix, rows: Tensor) -> None:
        x = matrix.x[rows.numpy()].astype(np.float64)
        x.data /= np.repeat(matrix.norms[rows].numpy(), np.diff(x.indptr))
        self.unit = x  # (m, d)
        # Its product with a vector takes half the time of SciPy's.
        self.tensor = torch.sparse_csr_tensor(
            torch.from_numpy(x.indptr),
            torch.from_numpy(x.indices),
            torch.from_numpy(x.data),
            x.shape,
            check_invariants=False,
        )
        self.row = torch.zeros(x.shape[1], dtype=torch.float64)

    def _entries(self, b: int) -> tuple[np.ndarray, np.ndarray]:
        entries = slice(self.unit.indptr[b], self.unit.indptr[b + 1])
        return self.unit.indices[entries], self.unit.data[entries]

    def all_products(self, sums: np.ndarray) -> np.ndarray:
        """Products of the rows with the sums, (k, m)."""
        return np.ascontiguousarray((self.unit @ sums).T)

    def row_products(self, b: int) -> np.ndarray:
        """Products of the rows with one of them, (m,)."""
        columns, values = self._entries(b)
        self.row.numpy()[columns] = values
        products = (self.tensor @ self.row).numpy()
        self.row.numpy()[columns] = 0
        return products

    def sum_products(self, sums: np.ndarray, b: int) -> np.ndarray:
        """Products of the sums with one row, (k,)."""
        columns, values = self._entries(b)
        return values @ sums[columns]

    def move(self, sums: np.ndarray, b: int, weight: float, i: int, j: int) -> None:
        """Take a row from one sum and add it to another, in place."""
        columns, values = self._entries(b)
        sums[columns, i] -= weight * values
        sums[columns, j] += weight * values


UnitRows = DenseRows | SparseRows


def unit_rows(matrix: Matrix, rows: Tensor) -> UnitRows:
    """Take some rows of a matrix."""
    if isinstance(matrix, SparseMatrix):
        return SparseRows(matrix, rows)
    return DenseRows(matrix, rows)
