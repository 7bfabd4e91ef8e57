"""The rows that a fit learns from, and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdeepcluster.utils._sklearn import _check_sample_weight


@dataclass(frozen=True)
class TrainingRows:
    """Rows to learn from.

    Parameters
    ----------
    given : ndarray of shape (n_samples, n_features)
        The rows of the user.
    X : ndarray of shape (m, n_features)
        The rows to learn from.
    weight : ndarray of shape (m,), float64, or None
        None where all rows count the same.
    place : ndarray of shape (n_samples,), intp
        Which of the m rows each row of the user is; -1 where it has no weight.
    """

    given: NDArray
    X: NDArray
    weight: NDArray | None
    place: NDArray

    @classmethod
    def of(cls, X, sample_weight, batch_size, codes=None, at_least=1):
        """Leave out rows without weight, and merge equal ones where nothing is lost.

        Where all distinct rows fit into one batch, every step sees all of them. Then
        each is kept once, with its total weight: this changes nothing but the
        rounding, and a weight of 3 is the same as three rows to the bit.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or None
        batch_size : int
        codes : ndarray of shape (n_samples,), optional
            Classes, in which equal rows are equal, too.
        at_least : int, default=1
            Rows that must be left; where merging leaves fewer, all stay.
        """
        given, place, weight = X, np.arange(len(X)), None
        if sample_weight is not None:
            weight = _checked(sample_weight, X)
            place = np.where(weight > 0, np.cumsum(weight > 0) - 1, -1)
            X, weight = X[weight > 0], weight[weight > 0]
            codes = None if codes is None else codes[place >= 0]
            if np.ptp(weight) == 0:
                weight = None
        rows = X if codes is None else np.column_stack([X, codes.astype(X.dtype)])
        first, kind = _distinct(rows, batch_size)
        nothing_to_merge = weight is None and len(first) == len(X)
        if nothing_to_merge or len(first) < at_least:
            return cls(given, X, weight, place)
        total = np.bincount(kind, weight, minlength=len(first)).astype(np.float64)
        return cls(given, X[first], total, np.where(place < 0, -1, kind[place]))

    def spread(self, values, missing):
        """`values` of the m rows as those of the user's, `missing` where left out."""
        return np.where(self.place < 0, missing, values[self.place])

    def gather(self, values):
        """Values of the user's rows, equal for equal rows, as those of the m rows."""
        gathered = np.empty(len(self.X), dtype=values.dtype)
        known = self.place >= 0
        gathered[self.place[known]] = values[known]
        return gathered


def _checked(sample_weight, X):
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def _distinct(rows, at_most):
    """First of each kind of row, in an order of their own, and the kind of each row.

    None of them where there are more than `at_most` kinds.
    """
    none = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    if len(_kinds(rows[: 4 * at_most])[0]) > at_most:
        return none
    first, kind = _kinds(rows)
    return none if len(first) > at_most else (first, kind)


def _kinds(rows):
    rows = np.ascontiguousarray(rows + 0.0)  # no negative zeros
    kinds = rows.view(f"V{rows.itemsize * rows.shape[1]}")
    _, first, inverse = np.unique(kinds, return_index=True, return_inverse=True)
    return first, inverse.ravel()
