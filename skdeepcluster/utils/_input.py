"""What every estimator asks of rows and of sample weights."""

from numbers import Number

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import validate_data

from skdeepcluster.utils._advice import advice
from skdeepcluster.utils._forms import plain, plain_numbers
from skdeepcluster.utils._sklearn import _check_sample_weight
from skdeepcluster.utils._stored import StoredRows, at_once, row_blocks


def stored_rows(estimator, X, keep, *, reset):
    """Validated rows of a file or store, none of them in memory.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like of shape (n_samples, n_features)
        For which `is_stored` holds.
    keep : tuple of dtype
        Others become float64, block by block.
    reset : bool
        Whether the features are noted, or compared with those of the fit.

    Returns
    -------
    X : StoredRows
    """
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    X = StoredRows(X, keep)
    check_finite(X, type(estimator).__name__)
    return X


def read_rows(estimator, X, y="no_validation", **options):
    """Rows in memory as scikit-learn validates them; of any kind of array.

    Parameters
    ----------
    estimator : BaseEstimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        As `plain_rows` gives it.
    y : array-like of shape (n_samples,), optional
    **options
        Of :func:`~sklearn.utils.validation.validate_data`.

    Returns
    -------
    X : {ndarray, CSR matrix}
    y : ndarray, where it was passed
    """
    y = y if y is None or isinstance(y, str) else plain(y, "y")
    try:
        return validate_data(estimator, at_once(X), y, accept_sparse="csr", **options)
    except (TypeError, ValueError, OverflowError) as error:
        more = advice(error, X, estimator)
        if more is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{str(error).rstrip('.')}. {more}") from error


def check_finite(X, name):
    """Refuse NaN and infinity, block by block.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
    name : str
        Of the estimator.
    """
    for part in row_blocks(X.data if sp.issparse(X) else X):
        if not np.isfinite(part).all():
            found = "NaN" if np.isnan(part).any() else "infinity"
            raise ValueError(_NOT_FINITE[found].format(name))


_NOT_FINITE = {
    "NaN": "Input X contains NaN.\n{} does not accept missing values.",
    "infinity": "Input X contains infinity or a value too large for {}.",
}


def without_duplicates(X):
    """CSR rows with one entry for each place, and others as they are; never in place.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)

    Returns
    -------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    """
    if sp.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def without_zeros(X):
    """CSR rows with sorted entries and no stored zeros; never in place.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)

    Returns
    -------
    X : CSR matrix of shape (n_samples, n_features)
        Equal rows have equal entries.
    """
    if not X.has_sorted_indices or not X.data.all():
        X = X.copy()
        X.eliminate_zeros()
        X.sort_indices()
    return X


def checked_weight(sample_weight, X):
    """Sample weights, float64, none negative and not all zero.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)

    Returns
    -------
    weight : ndarray of shape (n_samples,)
    """
    if not (sample_weight is None or isinstance(sample_weight, Number)):
        sample_weight = plain_numbers(sample_weight, "sample_weight")
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return np.require(weight, requirements="W")  # else torch warns
