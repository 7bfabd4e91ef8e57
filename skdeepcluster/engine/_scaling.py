"""Centre X and divide it by one number, so that one learning rate fits all data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdeepcluster.utils._stored import StoredRows

_BLOCK_ROWS = 4096
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
    def fit(cls, X: Any, weight: NDArray | None = None) -> Scaling:
        """Measure the scaling of `X` in float64, block by block.

        Parameters
        ----------
        X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        weight : ndarray of shape (n_samples,), optional
            Sample weights; only their ratios count.
        """
        check_castable(X)
        n_samples, n_features = X.shape
        weight = np.ones(n_samples) if weight is None else weight / weight.mean()
        moments = _sparse_moments if sp.issparse(X) else _moments
        mean, by_column = moments(X, weight)
        factor = float(np.sqrt(by_column.sum() / (n_samples * n_features)))
        # Rounding alone leaves about eps * |mean| in a column that is constant.
        noise = 8 * np.finfo(X.dtype).eps * float(np.abs(mean).max())
        if factor <= noise:
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


def _moments(X: NDArray | StoredRows, weight: NDArray) -> tuple[NDArray, NDArray]:
    """Means of the columns, and sums of their squared deviations."""
    mean = sum((w * block).sum(axis=0) for block, w in _blocks(X, weight)) / len(X)
    by_column = np.zeros(X.shape[1])
    for block, w in _blocks(X, weight):
        by_column += (w * np.square(block - mean)).sum(axis=0)
    return mean, by_column


def _sparse_moments(X: sp.csr_array, weight: NDArray) -> tuple[NDArray, NDArray]:
    """As `_moments`, of a CSR matrix without making it dense."""
    n_samples, n_features = X.shape
    entry_weight = np.repeat(weight, np.diff(X.indptr))

    def sums(values: NDArray) -> NDArray:
        """Of the columns, added in the order of the dense blocks."""
        total = np.zeros(n_features)
        for start in range(0, n_samples, _BLOCK_ROWS):
            ends = X.indptr[[start, min(start + _BLOCK_ROWS, n_samples)]]
            part = slice(*ends)
            weighted = entry_weight[part] * values[part]
            total += np.bincount(X.indices[part], weighted, n_features)
        return total

    data = X.data.astype(np.float64)
    mean = sums(data) / n_samples
    zeros = n_samples - sums(np.ones(len(data)))  # their weight
    apart = data - mean[X.indices]
    return mean, sums(np.square(apart)) + zeros * np.square(mean)


def _blocks(
    X: NDArray | StoredRows, weight: NDArray
) -> Iterator[tuple[NDArray, NDArray]]:
    start = 0
    for block in _parts(X):
        yield block.astype(np.float64), weight[start : start + len(block), None]
        start += len(block)


def _parts(X: NDArray | StoredRows) -> Iterator[NDArray]:
    if isinstance(X, StoredRows):
        return X.blocks()
    return (X[start : start + _BLOCK_ROWS] for start in range(0, len(X), _BLOCK_ROWS))


def _warn_of_dominance(squares: NDArray[np.float64]) -> None:
    column, total = int(squares.argmax()), float(squares.sum())
    if len(squares) > 2 and squares[column] > _DOMINANT * total:
        warnings.warn(
            f"Column {column} has {squares[column] / total:.1%} of the variance of X, "
            "so that the clusters will be those of this column. Scale X first (e.g. "
            "with StandardScaler) where the others should count.",
            DataScaleWarning,
            stacklevel=9,
        )


def check_castable(X: Any) -> None:
    """Refuse finite values that float32, in which networks compute, cannot hold."""
    given = X.x.dtype if isinstance(X, StoredRows) else X.dtype
    if np.dtype(given) != np.float64:
        return
    parts = [X.data] if sp.issparse(X) else _parts(X)
    largest = max((float(max(-x.min(), x.max())) for x in parts if x.size), default=0.0)
    if largest > _LARGEST:
        raise ValueError(
            f"X has values up to {largest:.3g}, which overflow float32; scale X first "
            "(e.g. with StandardScaler)."
        )


def check_scaled(X: NDArray) -> None:
    """Refuse rows so far from the training data that their scaled values overflow."""
    if not np.isfinite(X).all():
        raise ValueError(
            "X has values that overflow float32 once scaled as the training data were; "
            "they lie beyond all training rows."
        )
