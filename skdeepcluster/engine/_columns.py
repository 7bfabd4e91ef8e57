"""Means, spreads and ranges of the columns of X, whatever holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from skdeepcluster.utils._group import Group
from skdeepcluster.utils._stored import StoredRows, row_blocks, rows_of_bytes

_LARGEST = float(np.finfo(np.float32).max)
# Of the largest value of a column: what computing one number in several ways leaves.
_ROUNDING = 64 * float(np.finfo(np.float64).eps)
# Spreads of which the squares are still far from the ends of float64.
_TINY, _HUGE = 2.0**-400, 2.0**400


@dataclass(frozen=True)
class Columns:
    """Statistics of the columns of all rows, each of shape (n_features,), float64.

    Parameters
    ----------
    mean : ndarray
    low, high : ndarray
        Smallest and largest value.
    squares, deviations : ndarray
        Weighted sums of squared and of absolute deviations from the mean, in units of
        `unit`, of weights of mean 1.
    unit : float
        A power of two, 1.0 but for extreme spreads.
    n_samples : int
        Rows of all processes.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    squares: NDArray[np.float64]
    deviations: NDArray[np.float64]
    unit: float
    n_samples: int

    @property
    def rounding(self) -> NDArray[np.float64]:
        """Differences that rounding alone may have made.

        Relative to float64 whatever holds X, so that values decide and not their type:
        a column of float32 with two values was given both.
        """
        return _ROUNDING * np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which columns have one value, up to rounding."""
        return self.high - self.low <= self.rounding


def measure(X: Any, weight: NDArray | None, group: Group) -> Columns:
    """Statistics of the columns of `X`, in float64, block by block.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,), optional
        Sample weights; only their ratios count.
    group : Group
        Processes that have other rows; all measure the same.
    """
    n_samples = int(_total(group, float(X.shape[0])))
    if weight is None:
        weight = np.ones(X.shape[0])
    else:
        weight = weight / (_total(group, weight.sum()) / n_samples)
    sums = _sums(X, weight)
    with group.together():
        total = sums.total()
        _check_castable(sums.low, sums.high)
    low, high = _ends(group, sums)
    # Rounding may carry the mean of a constant column beyond its one value.
    mean = np.clip(_total(group, total) / n_samples, low, high)
    unit = _unit(float((high - low).max()))
    parts = sums.spread(mean, unit)
    squares, deviations = (_total(group, part) for part in parts)
    return Columns(mean, low, high, squares, deviations, unit, n_samples)


def are_counts(X: Any, group: Group) -> bool:
    """Whether all values are whole numbers from 0 on."""
    parts = [X.data] if sp.issparse(X) else row_blocks(X)
    whole = all(bool((x >= 0).all() and (x == np.floor(x)).all()) for x in parts)
    return all(group.each(whole))


def _unit(spread: float) -> float:
    """A power of two near to a spread whose square does not fit into float64."""
    if spread == 0 or _TINY < spread < _HUGE:
        return 1.0
    return float(np.ldexp(1.0, int(np.frexp(spread)[1])))


def _total(group: Group, part: Any) -> Any:
    """Sum over the processes, of a number or an array."""
    if group.size == 1:
        return part
    return group.sum(torch.as_tensor(part, dtype=torch.float64)).numpy()


def _ends(group: Group, sums: _Sums | _SparseSums) -> tuple[NDArray, NDArray]:
    """Smallest and largest values in all processes."""
    if group.size == 1:
        return sums.low, sums.high
    both = torch.from_numpy(np.stack([-sums.low, sums.high]))[None]
    largest = group.concat(both).amax(dim=0).numpy()
    return -largest[0], largest[1]


def _check_castable(low: NDArray, high: NDArray) -> None:
    """Refuse finite values that float32, in which networks compute, cannot hold."""
    largest = max(-float(low.min()), float(high.max()))
    if largest > _LARGEST:
        raise ValueError(
            f"X has values up to {largest:.3g}, which overflow float32; scale X first "
            "(e.g. with StandardScaler)."
        )


def _sums(X: Any, weight: NDArray) -> _Sums | _SparseSums:
    return (_SparseSums if sp.issparse(X) else _Sums)(X, weight)


class _Sums:
    """Sums over the rows of an array, block by block."""

    def __init__(self, X: NDArray | StoredRows, weight: NDArray) -> None:
        self.X = X
        self.weight = weight
        self.low = np.full(X.shape[1], np.inf)
        self.high = np.full(X.shape[1], -np.inf)

    @np.errstate(over="ignore", invalid="ignore")  # such values are refused
    def total(self) -> NDArray:
        """Of the columns; notes their ends in the same pass."""
        total = np.zeros(self.X.shape[1])
        for block, w in _blocks(self.X, self.weight):
            total += (w * block).sum(axis=0)
            np.minimum(self.low, block.min(axis=0), out=self.low)
            np.maximum(self.high, block.max(axis=0), out=self.high)
        return total

    def spread(self, mean: NDArray, unit: float) -> tuple[NDArray, NDArray]:
        """Of the columns' deviations from `mean`, squared, and without their signs."""
        squares, deviations = np.zeros((2, self.X.shape[1]))
        for block, w in _blocks(self.X, self.weight):
            apart = (block - mean) / unit if unit != 1 else block - mean
            squares += (w * np.square(apart)).sum(axis=0)
            deviations += (w * np.abs(apart, out=apart)).sum(axis=0)
        return squares, deviations


class _SparseSums:
    """As `_Sums`, of a CSR matrix without making it dense."""

    def __init__(self, X: sp.csr_array, weight: NDArray) -> None:
        self.X = X
        self.data = X.data.astype(np.float64)
        self.weight = weight
        self.entry_weight = np.repeat(weight, np.diff(X.indptr))
        self.full = np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0]
        self.low, self.high = self._ends()

    def _ends(self) -> tuple[NDArray, NDArray]:
        low, high = np.where(self.full, np.inf, 0.0), np.where(self.full, -np.inf, 0.0)
        np.minimum.at(low, self.X.indices, self.data)
        np.maximum.at(high, self.X.indices, self.data)
        return low, high

    @np.errstate(over="ignore", invalid="ignore")  # such values are refused
    def total(self) -> NDArray:
        """Of the columns."""
        return self._by_column(self.data)

    def spread(self, mean: NDArray, unit: float) -> tuple[NDArray, NDArray]:
        """Of the columns' deviations from `mean`, squared, and without their signs."""
        apart = self.data - mean[self.X.indices]
        zeros = self.weight.sum() - self._by_column(np.ones(len(self.data)))
        zeros = np.where(self.full, 0.0, zeros.clip(min=0.0))  # but for rounding
        if unit != 1:
            apart, mean = apart / unit, mean / unit
        squares = self._by_column(np.square(apart)) + zeros * np.square(mean)
        deviations = self._by_column(np.abs(apart)) + zeros * np.abs(mean)
        return squares, deviations

    def _by_column(self, values: NDArray) -> NDArray:
        """Weighted sums of values of the entries, in the order of dense blocks."""
        X, total = self.X, np.zeros(self.X.shape[1])
        size = rows_of_bytes(X.shape[1] * X.dtype.itemsize)
        for start in range(0, X.shape[0], size):
            part = slice(*X.indptr[[start, min(start + size, X.shape[0])]])
            weighted = self.entry_weight[part] * values[part]
            there, place = _numbered(X.indices[part], X.shape[1])
            found = np.bincount(place, weighted, minlength=len(total[there]))
            total[there] += found
        return total


def _numbered(columns: NDArray, n_columns: int) -> tuple[Any, NDArray]:
    """Columns of entries: which there are, and the place of each among these.

    A block of wide rows has entries in few columns; with many, all are taken.
    """
    if len(columns) > n_columns:
        return slice(None), columns
    there, place = np.unique(columns, return_inverse=True)
    return there, place


def _blocks(
    X: NDArray | StoredRows, weight: NDArray
) -> Iterator[tuple[NDArray, NDArray]]:
    start = 0
    for block in row_blocks(X):
        yield block.astype(np.float64), weight[start : start + len(block), None]
        start += len(block)
