"""Centre X and divide it by one number, so that one learning rate fits all data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from skdeepcluster.utils._group import ALONE, Group
from skdeepcluster.utils._stored import StoredRows, row_blocks, rows_of_bytes
from skdeepcluster.utils._warnings import warn_user

_LARGEST = float(np.finfo(np.float32).max)
_DOMINANT = 0.99


class DataScaleWarning(UserWarning):
    """One column of X is so large that the others hardly count."""


@dataclass(frozen=True)
class Scaling:
    """Shift by the column means, divide by one root mean square.

    One common factor, not one per column, keeps the geometry of X; centring matters
    as much: a mean far from zero is a huge common direction in every gradient.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
    factor : float
        Root mean square of the centred entries; 1.0 where they are all zero.
    """

    mean: NDArray[np.float64]
    factor: float

    @classmethod
    def fit(
        cls, X: Any, weight: NDArray | None = None, group: Group = ALONE
    ) -> Scaling:
        """Measure the scaling of `X` in float64, block by block.

        Parameters
        ----------
        X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        weight : ndarray of shape (n_samples,), optional
            Sample weights; only their ratios count.
        group : Group, optional
            Processes that have other rows; all measure the same.
        """
        with group.together():
            check_castable(X)
        n_samples = int(_total(group, float(X.shape[0])))
        if weight is None:
            weight = np.ones(X.shape[0])
        else:
            weight = weight / (_total(group, weight.sum()) / n_samples)
        moments = _SparseMoments if sp.issparse(X) else _Moments
        mean, by_column = _measure(moments(X, weight), n_samples, group)
        # Rounding alone leaves about eps * |mean| in a column that is constant.
        noise = 8 * np.finfo(X.dtype).eps * np.abs(mean)
        by_column[by_column <= n_samples * np.square(noise)] = 0.0
        factor = float(np.sqrt(by_column.sum() / (n_samples * X.shape[1])))
        if factor == 0:
            return cls(mean, 1.0)
        _warn_of_dominance(by_column)
        return cls(mean, factor)

    def apply(self, X: NDArray, dtype: type = np.float32) -> NDArray:
        """Scaled copy of a block of rows; subtraction is done in float64."""
        return self._scaled(X, self.mean, dtype)

    def apply_to(
        self, values: NDArray, columns: NDArray, dtype: type = np.float32
    ) -> NDArray:
        """Scaled copy of single entries, given their columns."""
        return self._scaled(values, self.mean[columns], dtype)

    def _scaled(self, values: NDArray, mean: NDArray, dtype: type) -> NDArray:
        with np.errstate(over="ignore"):  # answered by check_scaled
            return ((values.astype(np.float64) - mean) / self.factor).astype(dtype)

    def invert(self, X: NDArray) -> NDArray[np.float64]:
        """Undo `apply`."""
        return X.astype(np.float64) * self.factor + self.mean


def _measure(
    moments: _Moments | _SparseMoments, n_samples: int, group: Group
) -> tuple[NDArray, NDArray]:
    """Means of the columns, and sums of their squared deviations."""
    mean = _total(group, moments.sums()) / n_samples
    return mean, _total(group, moments.squares(mean))


def _total(group: Group, part: Any) -> Any:
    """Sum over the processes, of a number or an array."""
    if group.size == 1:
        return part
    return group.sum(torch.as_tensor(part, dtype=torch.float64)).numpy()


class _Moments:
    """Sums over the rows of an array, block by block."""

    def __init__(self, X: NDArray | StoredRows, weight: NDArray) -> None:
        self.X = X
        self.weight = weight

    def sums(self) -> NDArray:
        """Of the columns."""
        total = np.zeros(self.X.shape[1])
        for block, w in _blocks(self.X, self.weight):
            total += (w * block).sum(axis=0)
        return total

    def squares(self, mean: NDArray) -> NDArray:
        """Of the columns' deviations from `mean`, squared."""
        by_column = np.zeros(self.X.shape[1])
        for block, w in _blocks(self.X, self.weight):
            by_column += (w * np.square(block - mean)).sum(axis=0)
        return by_column


class _SparseMoments:
    """As `_Moments`, of a CSR matrix without making it dense."""

    def __init__(self, X: sp.csr_array, weight: NDArray) -> None:
        self.X = X
        self.data = X.data.astype(np.float64)
        self.weight = weight
        self.entry_weight = np.repeat(weight, np.diff(X.indptr))

    def sums(self) -> NDArray:
        """Of the columns."""
        return self._by_column(self.data)

    def squares(self, mean: NDArray) -> NDArray:
        """Of the columns' deviations from `mean`, squared."""
        apart = self.data - mean[self.X.indices]
        zeros = self.weight.sum() - self._by_column(np.ones(len(self.data)))
        full = np.bincount(self.X.indices, minlength=self.X.shape[1]) == self.X.shape[0]
        zeros = np.where(full, 0.0, zeros.clip(min=0.0))  # but for rounding
        return self._by_column(np.square(apart)) + zeros * np.square(mean)

    def _by_column(self, values: NDArray) -> NDArray:
        """Weighted sums of values of the entries, in the order of dense blocks."""
        X, total = self.X, np.zeros(self.X.shape[1])
        size = rows_of_bytes(X.shape[1] * X.dtype.itemsize)
        for start in range(0, X.shape[0], size):
            ends = X.indptr[[start, min(start + size, X.shape[0])]]
            part = slice(*ends)
            weighted = self.entry_weight[part] * values[part]
            total += np.bincount(X.indices[part], weighted, X.shape[1])
        return total


def _blocks(
    X: NDArray | StoredRows, weight: NDArray
) -> Iterator[tuple[NDArray, NDArray]]:
    start = 0
    for block in row_blocks(X):
        yield block.astype(np.float64), weight[start : start + len(block), None]
        start += len(block)


def _warn_of_dominance(squares: NDArray[np.float64]) -> None:
    column, total = int(squares.argmax()), float(squares.sum())
    if len(squares) > 2 and squares[column] > _DOMINANT * total:
        warn_user(
            f"Column {column} has {squares[column] / total:.1%} of the variance of X, "
            "so that the clusters will be those of this column. Scale X first (e.g. "
            "with StandardScaler) where the others should count.",
            DataScaleWarning,
        )


def check_castable(X: Any) -> None:
    """Refuse finite values that float32, in which networks compute, cannot hold."""
    given = X.x.dtype if isinstance(X, StoredRows) else X.dtype
    if np.dtype(given) != np.float64:
        return
    parts = [X.data] if sp.issparse(X) else row_blocks(X)
    largest = max((float(max(-x.min(), x.max())) for x in parts if x.size), default=0.0)
    if largest > _LARGEST:
        raise ValueError(
            f"X has values up to {largest:.3g}, which overflow float32; scale X first "
            "(e.g. with StandardScaler)."
        )


def check_scaled(X: NDArray) -> None:
    """Refuse rows so far from the training data that their scaled values overflow."""
    if np.isfinite(X).all():
        return
    if np.isnan(X).any():  # where scikit-learn was told to assume that there is none
        raise ValueError("Input X contains NaN.")
    raise ValueError(
        "X has values that overflow float32 once scaled like the training data; they "
        "lie beyond all training rows."
    )
