"""What estimators without a network share: reading X, weights and rows of zeros."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from skdeepcluster.engine import (
    PRECISIONS,
    Compute,
    check_agreement,
    group_of,
    part_of,
    reuse_host_memory,
)
from skdeepcluster.kmeans import as_matrix
from skdeepcluster.kmeans.matrices import ShardedMatrix
from skdeepcluster.utils._distinct import too_few_distinct
from skdeepcluster.utils._forms import plain_rows
from skdeepcluster.utils._group import ALONE
from skdeepcluster.utils._input import (
    check_finite,
    checked_weight,
    read_rows,
    stored_rows,
    without_duplicates,
)
from skdeepcluster.utils._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    tags_for_sparse,
)
from skdeepcluster.utils._stored import StoredRows, is_stored, neighbours, rows_with
from skdeepcluster.utils._warnings import warn_user

# Squares of sums of smaller ones, or of their inverses, leave the range of float64.
_SMALLEST_WEIGHT = 1e-100


class BaseShallowEstimator(CallbackSupportMixin, BaseEstimator):
    """Estimators of rows that are dense, CSR or mapped, and are left as they are."""

    # Name of the parameter that says how many clusters there are.
    _groups = "n_clusters"
    # Whether rows of one direction count as equal.
    _by_direction = False
    _dtypes: tuple = (np.float64, np.float32)
    # Whether rows of a store are read block by block, rather than at once.
    _reads_stored = False

    _parameter_constraints: dict = {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "precision": [StrOptions(set(PRECISIONS))],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = tags_for_sparse(super().__sklearn_tags__(), self)
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validate(self, X, *, reset):
        """Rows as CSR or as an array of floats, mapped files as they are."""
        if reset:
            precision = getattr(self, "precision", "float32")
            Compute.resolve(self.device, precision)  # refuses missing devices
        X = plain_rows(X)
        if self._reads_stored and is_stored(X) and not self._takes_mapped(X):
            return stored_rows(self, X, self._dtypes, reset=reset)
        X = read_rows(
            self,
            X,
            reset=reset,
            dtype=list(self._dtypes),
            # A whole array of booleans would not fit beside a mapped file.
            ensure_all_finite=False,
        )
        check_finite(X, type(self).__name__)
        return without_duplicates(X)

    def _takes_mapped(self, X):
        """Whether a mapped array needs no conversion, and can be looked at as it is."""
        return isinstance(X, np.ndarray) and X.dtype in self._dtypes

    def _check_n_samples(self, n_samples):
        n_groups = getattr(self, self._groups)
        if n_samples < n_groups:
            raise ValueError(
                f"n_samples={n_samples} should be >= {self._groups}={n_groups}."
            )

    def _warn_of_empty(self, counts, X):
        """Say that clusters are empty, and why, as far as that is known."""
        found, wanted = int(np.count_nonzero(counts)), len(counts)
        if found < wanted:
            cause = too_few_distinct(X, wanted, self._by_direction)
            warn_user(
                f"Number of distinct clusters ({found}) found smaller than "
                f"{self._groups} ({wanted}). {cause or self._cause_of_empty()}",
                ConvergenceWarning,
            )

    def _cause_of_empty(self):
        """Why clusters may be empty although enough rows differ."""
        return (
            "Enough rows of X differ: the other clusters have lost theirs in the "
            "iterations. More starts (n_init), or another init, may keep them."
        )

    def _validate_weight(self, sample_weight, X):
        weight = checked_weight(sample_weight, X)
        heavy = weight[weight > 0]
        if heavy.min() < _SMALLEST_WEIGHT or heavy.max() > 1 / _SMALLEST_WEIGHT:
            raise ValueError(
                f"Sample weights other than 0 should be from {_SMALLEST_WEIGHT} to "
                f"{1 / _SMALLEST_WEIGHT}, got {heavy.min()} to {heavy.max()}."
            )
        return torch.from_numpy(np.array(weight))


@dataclass(frozen=True, eq=False)
class DirectionalRows:
    """Rows to learn from, and those that came, which all get a label.

    Rows of weight 0 are not among the former: so they have no part in anything.

    Parameters
    ----------
    given : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        As the user passed them; those of this process, where several fit together.
    X : {ndarray, StoredRows, CSR matrix} of shape (m, n_features)
        Those with a positive weight: the same object where these are all.
    matrix : Matrix
        The same rows for computing with, those of all processes.
    weight : Tensor of shape (n,), float64
        Of the rows of `matrix`.
    """

    given: Any
    X: Any
    matrix: Any
    weight: torch.Tensor

    @property
    def whole(self):
        """Whether no row is left out."""
        return self.X is self.given


class BaseDirectionalEstimator(BaseShallowEstimator):
    """Estimators for which rows count by their direction: dense, CSR or mapped.

    X is never modified, never made dense and never copied whole: norms are taken into
    account where sums and products are formed.
    """

    _by_direction = True
    _dtypes = (np.float64, np.float32, np.float16)
    _reads_stored = True

    _parameter_constraints: dict = {
        **BaseShallowEstimator._parameter_constraints,
        "zero_rows": [StrOptions({"ignore", "error"})],
    }

    def _read(self, X, sample_weight, precision=None, *, first=True, shard=None):
        """Rows to learn from.

        `first` is whether nothing has been learnt yet: then n_samples is checked.
        """
        group = group_of(shard)
        with group.together():
            X = self._validate(X, reset=first)
            weight = self._validate_weight(sample_weight, X)
        if group.size > 1:
            check_agreement(self, X, weight.numpy(), group.size, group)
        own = heavy = self._heavy(X, weight)
        if group.size > 1 and shard == "auto":
            own = neighbours(heavy, part_of(heavy.shape[0], group))
            X = own if heavy is X else neighbours(X, part_of(X.shape[0], group))
        elif group.size > 1:
            weight = group.concat(weight)
        matrix = self._matrix(own, precision, group)
        if first:
            self._check_n_samples(len(weight))
        self._check_zero_rows(matrix, (weight > 0).nonzero().squeeze(1))
        return DirectionalRows(X, own, matrix, weight[weight > 0])

    def _heavy(self, X, weight):
        """Rows with a positive weight; of a large file, none is read."""
        mapped = isinstance(X, np.ndarray) and is_stored(X)
        keep = weight.numpy() > 0
        if keep.all():
            return X
        return rows_with(StoredRows(X, self._dtypes) if mapped else X, keep)

    def _matrix(self, X, precision=None, group=ALONE):
        """The rows for computing with, on the device; those of all processes."""
        reuse_host_memory()
        compute = Compute.here(self.device, precision or self.precision)
        matrix = as_matrix(X, compute.device, compute.precision)
        return matrix if group.size == 1 else ShardedMatrix(matrix, group)

    def _check_zero_rows(self, matrix, numbers):
        """Say how many rows have no direction, or refuse them; by their `numbers`."""
        zero = matrix.norms == 0
        n_zero = int(zero.sum())
        if n_zero and self.zero_rows == "error":
            raise ValueError(
                f"{_number_of_rows(n_zero)} (the first is row "
                f"{int(numbers[zero][0])}); zero_rows='ignore' leaves "
                "them out."
            )
        if bool(zero.all()):
            raise ValueError(
                "X should have a row that is not zero and has a positive weight, got "
                f"{n_zero} rows of zeros of {len(matrix)}."
            )
        if n_zero:
            warn_user(
                f"{_number_of_rows(n_zero)}; left out of the fit, with a fixed answer "
                "in predictions.",
                UserWarning,
            )


def _number_of_rows(n_zero):
    rows, have = ("row", "has") if n_zero == 1 else ("rows", "have")
    return f"X has {n_zero} {rows} of zeros only, which {have} no direction"


def answer_dtype(X):
    """Dtype of answers about X: its own, or float32 for smaller ones."""
    return np.float64 if X.dtype == np.float64 else np.float32


def answer(values, X):
    """Numbers about X in the dtype of answers, or in float64 where that overflows.

    Those that do not overflow are rounded all the same: a row's answer is its own.
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(answer_dtype(X))
    fits = np.isfinite(narrow)
    return narrow if fits.all() else np.where(fits, narrow.astype(np.float64), values)
