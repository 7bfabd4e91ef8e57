"""What every estimator asks of sparse rows and of sample weights."""

import numpy as np
import scipy.sparse as sp

from skdeepcluster.utils._sklearn import _check_sample_weight


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
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight
