"""Centre X and divide it by one number, so that one learning rate fits all data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdeepcluster.engine._columns import measure
from skdeepcluster.engine._units import warn_of_units
from skdeepcluster.utils._group import ALONE, Group


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
    rounding : ndarray of shape (n_features,), float64, or None
        Distance from the mean up to which a value is the mean, but for rounding. Not 0
        in constant columns, where it would be all that a network sees; None where it is
        0 everywhere.
    """

    mean: NDArray[np.float64]
    factor: float
    rounding: NDArray[np.float64] | None = None

    @classmethod
    def fit(
        cls,
        X: Any,
        weight: NDArray | None = None,
        group: Group = ALONE,
        names: Sequence[str] | None = None,
    ) -> Scaling:
        """Measure the scaling of `X` in float64, block by block.

        Parameters
        ----------
        X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        weight : ndarray of shape (n_samples,), optional
            Sample weights; only their ratios count.
        group : Group, optional
            Processes that have other rows; all measure the same.
        names : sequence of str, optional
            Names of the columns, for the warning of their units.
        """
        columns = measure(X, weight, group)
        squares = np.where(columns.constant, 0.0, columns.squares)
        factor = float(np.sqrt(squares.sum() / (columns.n_samples * X.shape[1])))
        rounding = np.where(columns.constant, columns.rounding, 0.0)
        noise = rounding if rounding.any() else None
        if factor == 0:
            return cls(columns.mean, 1.0, noise)
        warn_of_units(X, columns, group, names)
        return cls(columns.mean, factor * columns.unit, noise)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which columns had one value other than zero."""
        if self.rounding is None:
            return np.zeros(len(self.mean), dtype=bool)
        return self.rounding > 0

    def apply(self, X: NDArray, dtype: type = np.float32) -> NDArray:
        """Scaled copy of a block of rows; subtraction is done in float64."""
        return self._scaled(X, slice(None), dtype)

    def apply_to(
        self, values: NDArray, columns: NDArray, dtype: type = np.float32
    ) -> NDArray:
        """Scaled copy of single entries, given their columns."""
        return self._scaled(values, columns, dtype)

    def _scaled(self, values: NDArray, columns: Any, dtype: type) -> NDArray:
        apart = values.astype(np.float64) - self.mean[columns]
        if self.rounding is not None:
            apart[np.abs(apart) <= self.rounding[columns]] = 0.0
        with np.errstate(over="ignore"):  # answered by check_scaled
            return (apart / self.factor).astype(dtype)

    def invert(self, X: NDArray) -> NDArray[np.float64]:
        """Undo `apply`."""
        return X.astype(np.float64) * self.factor + self.mean


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
