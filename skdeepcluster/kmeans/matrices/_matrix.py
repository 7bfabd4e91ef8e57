"""The matrix of a data set: sparse or dense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skdeepcluster.kmeans.matrices._dense import DenseMatrix
from skdeepcluster.kmeans.matrices._sparse import SparseMatrix
from skdeepcluster.utils._reduce import Reduce


class Centers(Protocol):
    """Centres of cosine k-means; see `DenseCenters` and `SparseCenters`."""

    norms: Tensor

    def __len__(self) -> int: ...

    @property
    def sums(self) -> Tensor:
        """Sums of unit rows, (k, d)."""

    def unit(self) -> Tensor:
        """Unit centres, (k, d), float64, on the host."""

    def moved(
        self, matrix: Any, index: Tensor, before: Tensor, after: Tensor, scale: Tensor
    ) -> Centers:
        """Centres once rows have changed from one cluster to another."""

    def recomputed(
        self, matrix: Any, labels: Tensor, scale: Tensor, reduce: Reduce
    ) -> Centers:
        """Centres of these labels, from all rows."""

    def with_direction(self, j: int, direction: Tensor) -> Centers:
        """Centres of which the `j`-th points elsewhere."""


class Matrix(Protocol):
    """Rows of data; see `DenseMatrix` and `SparseMatrix`."""

    x: Any
    device: torch.device
    dtype: torch.dtype
    precision: str
    read_rows: int
    block_rows: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and features."""

    @property
    def width(self) -> float:
        """Products of numbers that a product of a row with a centre takes."""

    @property
    def centers_type(self) -> Callable[[Tensor], Any]:
        """Makes centres from their directions, (k, d)."""

    def __len__(self) -> int: ...

    @property
    def own(self) -> Any:
        """The part that this process has, where several have rows."""

    @property
    def own_rows(self) -> slice:
        """Which rows these are among all."""

    def of_all(self, values: Tensor) -> Tensor:
        """Values of the own rows as those of all, (n, ...)."""

    def as_double(self) -> Any:
        """The same rows, multiplied in float64 on the CPU."""

    @property
    def norms(self) -> Tensor:
        """Euclidean norms, (n,), float64, on the host."""

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices with their rows."""

    def take(self, index: Tensor) -> Tensor:
        """Block of the rows of `index`, (m,), in its order."""

    def products(self, block: Tensor, centers: Any) -> Tensor:
        """Products of a block's rows with the unit centres, (b, k), rounded."""

    def error(self, block: Tensor) -> float:
        """Bound on the error of `products`, relative to the norm of the row."""

    def exact_products(self, index: Tensor, of: Tensor, centers: Any) -> Tensor:
        """Products of the rows `index` with the centres `of`, pair by pair."""

    def gather(self, index: Tensor) -> Tensor:
        """Rows as dense float64, (m, d), on the host."""

    def sums(self, labels: Tensor, scale: Tensor, n_clusters: int) -> Tensor:
        """Sums of ``scale[i] * x[i]`` by label, (k, d), float64, on the host."""

    def sums_of(
        self, index: Tensor, labels: Tensor, scale: Tensor, n_clusters: int
    ) -> Tensor:
        """Sums as `sums` gives them, of the rows `index` alone."""

    def mixed_sums(self, rows: slice, memberships: Tensor) -> Tensor:
        """``memberships.T @ x[rows]``, (k, d), float64, on the host."""


def as_matrix(
    x: np.ndarray | sp.csr_matrix,
    device: torch.device | str = "cpu",
    precision: str = "float32",
) -> Matrix:
    """Wrap validated rows for cosine k-means.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (n, d)
        Left as it is; a mapped file is read in blocks.
    device : torch.device or str, default="cpu"
        Where products are taken.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        Arithmetic of the products. Where it is not "bfloat16", labels are exact
        whatever it is: rows that rounding could mislead are decided in float64.

    Returns
    -------
    matrix : DenseMatrix or SparseMatrix
    """
    return (
        SparseMatrix(x, device, precision)
        if sp.issparse(x)
        else DenseMatrix(x, device, precision)
    )
