"""Rows that a user passes: checked, and given to a network."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d

from skdeepcluster.engine import SparseRows, StreamedRows
from skdeepcluster.utils._forms import plain, plain_rows
from skdeepcluster.utils._input import read_rows, stored_rows, without_duplicates
from skdeepcluster.utils._stored import StoredRows, is_stored

FLOATS = (np.float64, np.float32)


def valid_rows(estimator, X, y="no_validation", *, reset=True):
    """Rows as an array or as CSR without duplicate entries, of floats; and `y`.

    Parameters
    ----------
    estimator : BaseEstimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), optional
    reset : bool, default=True
        Whether the features are noted, or compared with those of the fit.

    Returns
    -------
    X : {ndarray, StoredRows, CSR matrix}
    y : ndarray, where it was passed
    """
    X = plain_rows(X)
    if is_stored(X):
        X = stored_rows(estimator, X, FLOATS, reset=reset)
        return X if isinstance(y, str) else (X, _valid_classes(X, y))
    # In one order: sums over rows of another are other bits.
    options = {"reset": reset, "dtype": list(FLOATS), "order": "C"}
    found = read_rows(estimator, X, y, **options)
    X, *rest = found if isinstance(found, tuple) else (found,)
    # Of matrices and arrays of scipy the same operator gives other bits.
    X = without_duplicates(sp.csr_array(X) if sp.issparse(X) else X)
    return (X, *rest) if rest else X


def _valid_classes(X, y):
    """Classes of stored rows, checked as scikit-learn does beside an array."""
    y = column_or_1d(plain(y, "y"), warn=True)
    assert_all_finite(y, input_name="y")
    check_consistent_length(X, y)
    return y


def all_rows(X, scaling, compute):
    """Scaled rows to train on: on the device, or made when they are asked for."""
    rows = rows_of(X, scaling, compute)
    in_memory = not sp.issparse(X) and not isinstance(X, StoredRows)
    return rows[: len(rows)] if in_memory else rows


def rows_of(X, scaling, compute):
    """Rows of X, scaled and put on the device when they are asked for."""
    kind = SparseRows if sp.issparse(X) else StreamedRows
    return kind(X, scaling, compute)
