"""Centre X and divide it by one number, so that one learning rate fits all data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    def fit(cls, X: NDArray, weight: NDArray | None = None) -> Scaling:
        """Measure the scaling of `X` in float64, block by block.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        weight : ndarray of shape (n_samples,), optional
            Sample weights; only their ratios count.
        """
        check_castable(X)
        weight = np.ones(len(X)) if weight is None else weight / weight.mean()
        mean = sum((w * block).sum(axis=0) for block, w in _blocks(X, weight)) / len(X)
        total, by_column = 0.0, np.zeros(X.shape[1])
        for block, w in _blocks(X, weight):
            squares = w * np.square(block - mean)
            total += float(squares.sum())
            by_column += squares.sum(axis=0)
        factor = float(np.sqrt(total / X.size))
        # Rounding alone leaves about eps * |mean| in a column that is constant.
        noise = 8 * np.finfo(X.dtype).eps * float(np.abs(mean).max())
        if factor <= noise:
            return cls(mean, 1.0)
        _warn_of_dominance(by_column)
        return cls(mean, factor)

    def apply(self, X: NDArray, dtype: type = np.float32) -> NDArray:
        """Scaled copy of a block of rows; subtraction is done in float64."""
        with np.errstate(over="ignore"):  # answered by check_scaled
            return ((X.astype(np.float64) - self.mean) / self.factor).astype(dtype)

    def invert(self, X: NDArray) -> NDArray[np.float64]:
        """Undo `apply`."""
        return X.astype(np.float64) * self.factor + self.mean


def _blocks(X: NDArray, weight: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    for start in range(0, len(X), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        yield X[rows].astype(np.float64), weight[rows, None]


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


def check_castable(X: NDArray) -> None:
    """Refuse finite values that float32, in which networks compute, cannot hold."""
    largest = float(max(-X.min(), X.max())) if X.size else 0.0
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
