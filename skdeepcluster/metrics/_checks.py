"""What the scores ask of their arguments."""

import math
from numbers import Integral, Real

import numpy as np

from skdeepcluster.metrics._neighbors import METRICS
from skdeepcluster.utils._forms import plain
from skdeepcluster.utils._numbers import check_number


def check_parameters(n_neighbors, resolution, metric):
    """Raise a ValueError or TypeError that names the parameter out of its range."""
    check_number(n_neighbors, "n_neighbors", Integral, 1)
    check_number(resolution, "resolution", Real, 0)
    if not math.isfinite(resolution):
        raise ValueError(f"resolution must be finite. Got {resolution}.")
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {list(METRICS)}. Got {metric!r}.")


def encode_labels(labels, name):
    """Replace labels by the integers 0..n_values-1.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Labels of any sortable kind: integers with gaps, strings, booleans.

    name : str
        What the caller calls the labels, for the error messages.

    Returns
    -------
    codes : ndarray of shape (n_samples,), dtype intp
        ``values[codes]`` is `labels`.

    values : ndarray of shape (n_values,)
        The different labels, sorted.

    Raises
    ------
    ValueError
        If the labels are not one-dimensional, hold a missing value, or cannot be
        compared with each other.
    """
    labels = np.asarray(plain(labels, name))
    if labels.ndim != 1:
        raise ValueError(
            f"{name} must be a 1d array of labels. Got an array of shape "
            f"{labels.shape} instead."
        )
    try:
        # A missing value is the only one that differs from itself.
        missing = bool((labels != labels).any())
        values, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"{name} must hold labels of one kind, without missing values. "
            f"Comparing them failed: {error}"
        ) from error
    if missing:
        raise ValueError(f"{name} must not contain missing values. Got NaN.")
    return codes, values
