"""The rows that a fit learns from, and their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from skdeepcluster.engine import part_of
from skdeepcluster.utils._group import ALONE, Shard
from skdeepcluster.utils._input import checked_weight
from skdeepcluster.utils._stored import neighbours, rows_with

# Rows that are not a dense array are compared as one, up to so many entries (128 MiB).
_DENSE_ENTRIES = 2**24
# Powers of two of weights that are brought nearer to 1.
_FAR = 64


@dataclass(frozen=True)
class TrainingRows:
    """Rows to learn from.

    Parameters
    ----------
    given : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        The rows of the user.
    X : {ndarray, StoredRows, CSR matrix} of shape (m, n_features)
        The rows to learn from.
    weight : ndarray of shape (m,), float64, or None
        None where all rows count the same.
    place : ndarray of shape (n_samples,), intp
        Which of the m rows each row of the user is; -1 where it has no weight.
    unit : float, default=1.0
        What a weight of 1 was as it came.
    shard : Shard, optional
        Where several processes fit together: `X` are this process's rows, of m that
        all of them have, and `weight` and `place` are about these.
    """

    given: Any
    X: Any
    weight: NDArray | None
    place: NDArray
    unit: float = 1.0
    shard: Shard | None = None

    @classmethod
    def of(cls, X, sample_weight, whole=True):
        """The rows with a positive weight.

        Parameters
        ----------
        X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or None
        whole : bool, default=True
            Whether these are all rows; of a part the weights stay as they are.
        """
        if sample_weight is None:
            return cls(X, X, None, np.arange(X.shape[0]))
        weight, unit = checked_weight(sample_weight, X), 1.0
        if whole:
            weight, unit = _in_reach(weight)
        keep = weight > 0
        place = np.where(keep, np.cumsum(keep) - 1, -1)
        rows, weight = rows_with(X, keep), weight[keep]
        if whole and np.ptp(weight) == 0:
            weight, unit = None, unit * float(weight[0])
        return cls(X, rows, weight, place, unit)

    def merged(self, batch_size, codes=None, at_least=1):
        """Equal rows once, with their total weight, where nothing is lost by it.

        Where all distinct rows fit into one batch, every step sees all of them. Then
        merging changes nothing but the rounding, and a weight of 3 is the same as three
        rows to the bit.

        Parameters
        ----------
        batch_size : int
        codes : ndarray of shape (n_samples,), optional
            Classes, in which equal rows are equal, too.
        at_least : int, default=1
            Rows that must be left; where merging leaves fewer, all stay.
        """
        codes = None if codes is None else codes[self.place >= 0]
        first, kind = _distinct(self.X, codes, batch_size)
        nothing_to_merge = self.weight is None and len(first) == self.X.shape[0]
        if nothing_to_merge or len(first) < at_least:
            return self
        total = np.bincount(kind, self.weight, minlength=len(first))
        place = np.where(self.place < 0, -1, kind[self.place])
        weight = total.astype(np.float64)
        return replace(self, X=self.X[first], weight=weight, place=place)

    @property
    def n_rows(self):
        """Rows to learn from, in all processes."""
        return self.X.shape[0] if self.shard is None else self.shard.total

    @property
    def group(self):
        """The processes that learn together."""
        return ALONE if self.shard is None else self.shard.group

    @property
    def own_weight(self):
        """Weights of `X`."""
        if self.shard is None or self.weight is None:
            return self.weight
        return self.weight[self.shard.own]

    def shared(self, shard, group):
        """The rows that this process has of those that all learn from.

        Parameters
        ----------
        shard : {"auto", "local"}
            Whether all processes have passed the same rows, or each its own.
        group : Group
        """
        if shard == "auto":
            X = neighbours(self.X, part_of(self.X.shape[0], group))
            return replace(self, X=X, shard=Shard(X.shape[0], group))
        own = Shard(self.X.shape[0], group)
        weight, unit = self.weight, self.unit
        if any(group.each(weight is not None)):
            weight = np.ones(self.X.shape[0]) if weight is None else weight
            weight = group.concat(torch.from_numpy(weight)).numpy()
            weight, unit = _in_reach(weight)
        place = np.where(self.place < 0, -1, self.place + own.start)
        return replace(self, weight=weight, place=place, shard=own, unit=unit)

    def spread(self, values, missing):
        """`values` of the m rows as those of the user's, `missing` where left out."""
        return np.where(self.place < 0, missing, values[self.place])

    def weighed(self, labels):
        """Labels of the user's rows as those of rows to learn from, with their weights.

        Of rows of its own, each process has a part.
        """
        known = self.place >= 0
        place, first = np.unique(self.place[known], return_index=True)
        weight = np.ones(len(place)) if self.weight is None else self.weight[place]
        return labels[known][first], self.unit * weight

    def gather(self, values):
        """Values of the user's rows, equal for equal rows, as those of the m rows."""
        gathered = np.empty(self.n_rows, dtype=values.dtype)
        known = self.place >= 0
        gathered[self.place[known]] = values[known]
        return gathered


def _in_reach(weight):
    """Weights that float32 holds, sums included, and what 1 was: a power of two.

    Only ratios count, and nothing is rounded.
    """
    exponent = int(np.frexp(weight.max(initial=0.0))[1])
    if abs(exponent) < _FAR:
        return weight, 1.0
    return np.ldexp(weight, 1 - exponent), float(np.ldexp(1.0, exponent - 1))


def _distinct(X, codes, at_most):
    """First of each kind of row, in an order of their own, and the kind of each row.

    None of them where there are more than `at_most` kinds, or rows are sparse or on
    disk and too many to look at.
    """
    none = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    in_memory = isinstance(X, np.ndarray)
    if not in_memory and X.shape[0] * X.shape[1] > _DENSE_ENTRIES:
        return none
    for some in _samples(X.shape[0], 4 * at_most):
        first, kind = _kinds(X[some], None if codes is None else codes[some])
        if len(first) > at_most:
            return none
    return _by_value(X, codes, first, kind)


def _samples(n_rows, size):
    """Some rows, others spread over all, and all: most data differ in the first."""
    yield slice(size)
    if n_rows > size:
        yield slice(None, None, max(1, n_rows // size))
        yield slice(None)


def _with_codes(X, codes):
    rows = X.toarray() if sp.issparse(X) else X
    if codes is not None:
        rows = np.column_stack([rows, codes.astype(X.dtype)])
    return rows


def _kinds(X, codes):
    """Kinds of rows by their bytes, many times faster than by value."""
    rows = np.ascontiguousarray(_with_codes(X, codes) + 0.0)  # no negative zeros
    kinds = rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel()
    _, first, kind = np.unique(kinds, return_index=True, return_inverse=True)
    return first, kind.ravel()


def _by_value(X, codes, first, kind):
    """The kinds in an order that rounding of the rows does not change."""
    codes = None if codes is None else codes[first]
    rows = _with_codes(X[first], codes)
    order = np.unique(rows, axis=0, return_index=True)[1]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[kind]
