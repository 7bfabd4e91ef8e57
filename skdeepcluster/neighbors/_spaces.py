"""Rows in which neighbours are looked for: their products, and exact distances.

Products of rows say which are near, quickly and up to a known error. What they leave
open is decided by distances in float64, each computed from its own two rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

METRICS = ("euclidean", "cosine")

# Numbers that are worked on at a time: rows, and pairs of rows, which fit a cache.
_BLOCK_ENTRIES, _PAIR_ENTRIES = 1 << 22, 1 << 16
_FLOAT32, _FLOAT64 = 2.0**-24, 2.0**-53
# Rounding of a squared distance: relative to the norm of a row times the distance, to
# the squared norm where it is a difference of norms, and to itself.
_ROUNDING, _CANCELLATION, _RELATIVE = 4e-15, 1e-13, 1e-12


class Space(ABC):
    """Rows, for fast products and for exact distances.

    Attributes
    ----------
    size : ndarray of shape (n,), float64
        Squared norms, in the unit of the distances.
    exponent : int
        That unit: distances are in units of this power of two.
    """

    size: NDArray[np.float64]
    exponent: int

    def __len__(self) -> int:
        return len(self.size)

    @abstractmethod
    def like(self, X: Any) -> Space:
        """Other rows, in the same unit."""

    @abstractmethod
    def products(
        self, rows: NDArray[np.intp], other: Any, columns: slice, exact: bool
    ) -> Tensor:
        """Products of some rows with rows of another space, (b, c)."""

    @abstractmethod
    def relative_error(self, exact: bool) -> float:
        """Bound of the error of a product, relative to half the squared norms."""

    @abstractmethod
    def noise(self, i: NDArray, squared: NDArray) -> NDArray[np.float64]:
        """What rounding may add to squared distances of rows `i`, (m,)."""

    @abstractmethod
    def squared(self, i: NDArray, other: Any, j: NDArray) -> NDArray[np.float64]:
        """Squared distances of rows `i` to rows `j` of another space, (m,)."""


class DenseSpace(Space):
    """Rows of an array.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    metric : {"euclidean", "cosine"}
    device : torch.device
        Of the fast products.
    unit : (center, exponent), optional
        What is subtracted from the rows, (d,), and the power of two by which they are
        divided, so that squares neither overflow nor vanish.
    """

    def __init__(
        self,
        X: NDArray,
        metric: str,
        device: torch.device,
        unit: tuple[NDArray, int] | None = None,
    ) -> None:
        self.X = X
        self.metric = metric
        self.device = device
        self.exponent = _exponent(X, metric) if unit is None else unit[1]
        # In two steps, as one power of two may be out of range; ldexp is slow.
        half = -self.exponent // 2
        self.factors = [2.0**half, 2.0 ** (-self.exponent - half)]
        self.center = self._mean() if unit is None else unit[0]
        self.size, self.norm = np.empty(len(X)), np.empty(len(X))
        self.fast = torch.empty(X.shape, dtype=torch.float32, device=device)
        for part in _blocks(len(X), X.shape[1]):
            self.norm[part] = np.linalg.norm(self._rows(part), axis=1)
            rows = self._centred(part)
            self.size[part] = np.einsum("ij,ij->i", rows, rows)
            self.fast[part] = torch.from_numpy(rows.astype(np.float32)).to(device)
        # A row of zeros has no direction: it is at a right angle to all others.
        self.zero = (self.size == 0) & (metric == "cosine")
        self.size[self.zero] = 1.0

    def _mean(self) -> NDArray[np.float64]:
        total = np.zeros(self.X.shape[1])
        if self.metric != "cosine":
            for part in _blocks(len(self.X), self.X.shape[1]):
                total += self._rows(part).sum(axis=0)
        return total / len(self.X)

    def like(self, X: NDArray) -> DenseSpace:
        """As in `Space`."""
        return DenseSpace(X, self.metric, self.device, (self.center, self.exponent))

    def _rows(self, index: Any) -> NDArray[np.float64]:
        """Rows in the unit of the distances, not centred."""
        rows = self.X[index].astype(np.float64)
        if self.metric != "cosine":
            for factor in self.factors:
                rows *= factor
            return rows
        largest = np.abs(rows).max(axis=1, keepdims=True)
        rows /= np.where(largest > 0, largest, 1.0)
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        return rows / np.where(norms > 0, norms, 1.0)

    def _centred(self, index: Any) -> NDArray[np.float64]:
        rows = self._rows(index)
        return rows - self.center if self.metric != "cosine" else rows

    def products(
        self, rows: NDArray[np.intp], other: DenseSpace, columns: slice, exact: bool
    ) -> Tensor:
        """As in `Space`."""
        if not exact:
            return self.fast[rows] @ other.fast[columns].T
        left = torch.from_numpy(self._centred(rows))
        return left @ torch.from_numpy(other._centred(columns)).T

    def relative_error(self, exact: bool) -> float:
        """As in `Space`: both factors and each of the d sums are rounded."""
        return (self.X.shape[1] + 8) * (_FLOAT64 if exact else _FLOAT32)

    def noise(self, i: NDArray, squared: NDArray) -> NDArray[np.float64]:
        """As in `Space`: of the numbers in X, whose differences are exact to that."""
        return _ROUNDING * self.norm[i] * np.sqrt(squared) + _RELATIVE * squared

    def squared(self, i: NDArray, other: DenseSpace, j: NDArray) -> NDArray[np.float64]:
        """As in `Space`."""
        found = np.empty(len(i))
        for part in _blocks(len(i), self.X.shape[1], _PAIR_ENTRIES):
            apart = self._rows(i[part]) - other._rows(j[part])
            found[part] = np.einsum("ij,ij->i", apart, apart)
        found[self.zero[i] != other.zero[j]] = 2.0
        return found


class SparseSpace(Space):
    """Rows of a CSR matrix, whose products are exact at once.

    Parameters
    ----------
    X : CSR matrix of shape (n, d)
    metric : {"euclidean", "cosine"}
    exponent : int, optional
        As in `DenseSpace`; rows are not centred, as zeros would be lost.
    """

    def __init__(
        self, X: sp.csr_array, metric: str, exponent: int | None = None
    ) -> None:
        self.metric = metric
        self.exponent = _exponent(X, metric) if exponent is None else exponent
        data = np.ldexp(X.data.astype(np.float64), -self.exponent)
        self.X = sp.csr_array((data, X.indices, X.indptr), shape=X.shape)
        if metric == "cosine":
            self._to_unit_rows()
        self.size = np.asarray(self.X.multiply(self.X).sum(axis=1)).ravel()
        self.zero = (self.size == 0) & (metric == "cosine")
        self.size[self.zero] = 1.0

    def _to_unit_rows(self) -> None:
        per_row = np.diff(self.X.indptr)
        largest = abs(self.X).max(axis=1).toarray().ravel()
        self.X.data /= np.repeat(np.where(largest > 0, largest, 1.0), per_row)
        norms = np.sqrt(np.asarray(self.X.multiply(self.X).sum(axis=1)).ravel())
        self.X.data /= np.repeat(np.where(norms > 0, norms, 1.0), per_row)

    def like(self, X: sp.csr_array) -> SparseSpace:
        """As in `Space`."""
        return SparseSpace(X, self.metric, self.exponent)

    def products(
        self, rows: NDArray[np.intp], other: SparseSpace, columns: slice, exact: bool
    ) -> Tensor:
        """As in `Space`."""
        return torch.from_numpy((self.X[rows] @ other.X[columns].T).toarray())

    def relative_error(self, exact: bool) -> float:
        """As in `Space`."""
        return (self.X.shape[1] + 8) * _FLOAT64

    def noise(self, i: NDArray, squared: NDArray) -> NDArray[np.float64]:
        """As in `Space`: of the difference of norms and products."""
        return _CANCELLATION * self.size[i] + _RELATIVE * squared

    def squared(
        self, i: NDArray, other: SparseSpace, j: NDArray
    ) -> NDArray[np.float64]:
        """As in `Space`."""
        found = np.empty(len(i))
        for part in _blocks(len(i), max(1, self.X.nnz // max(1, len(self)))):
            products = self.X[i[part]].multiply(other.X[j[part]]).sum(axis=1)
            sizes = self.size[i[part]] + other.size[j[part]]
            found[part] = sizes - 2 * np.asarray(products).ravel()
        same = self.zero[i] & other.zero[j]
        return np.where(same, 0.0, found).clip(0)


def space_of(X: Any, metric: str, device: torch.device) -> Space:
    """Rows, dense or CSR, as a space."""
    if sp.issparse(X):
        return SparseSpace(X, metric)
    return DenseSpace(X, metric, device)


def _exponent(X: Any, metric: str) -> int:
    """Power of two that is above all numbers of X, in size; directions have none."""
    if metric == "cosine":
        return 0
    if sp.issparse(X):
        return int(np.frexp(np.abs(X.data).max(initial=0.0))[1])
    parts = _blocks(len(X), X.shape[1])
    return int(np.frexp(max(float(np.abs(X[part]).max()) for part in parts))[1])


def _blocks(
    n_rows: int, row_entries: int, entries: int = _BLOCK_ENTRIES
) -> Iterator[slice]:
    step = max(1, entries // max(1, row_entries))
    return (slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step))
