"""What the theorems ask of their arguments."""

import math
from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array

from skdeepcluster.utils._forms import plain, plain_numbers

# Sums of squares of larger numbers leave the range of float64.
_LARGEST = 1e150
_ROW_SUM_TOLERANCE = 1e-6


def check_matrix(values, name, n_columns=None):
    """Finite float64 matrix, where asked for with a given number of columns."""
    values = values if sp.issparse(values) else plain_numbers(values, name)
    values = check_array(values, dtype=np.float64, input_name=name)
    if n_columns is not None and values.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {values.shape[1]} features, but {n_columns} are expected."
        )
    if np.abs(values).max() > _LARGEST:
        raise ValueError(
            f"{name} has values up to {np.abs(values).max():.3g}, the squares of which "
            "overflow float64; scale it first."
        )
    return values


def check_vector(values, name, size):
    """Finite float64 vector of a given size."""
    vector = np.asarray(plain(values, name))
    if vector.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},). Got {vector.shape}.")
    return check_matrix(vector[None], name)[0]


def check_softmax(coef, intercept):
    """Rows and biases of all classes, (k, m) and (k,).

    A single row is what scikit-learn keeps for two classes: the difference of theirs.
    """
    coef = check_matrix(coef, "coef")
    if intercept is None:
        intercept = np.zeros(len(coef))
    intercept = check_vector(intercept, "intercept", len(coef))
    if len(coef) == 1:
        halves = np.array([[-0.5], [0.5]])
        return halves * coef, halves[:, 0] * intercept
    return coef, intercept


def check_indices(y, n_samples, n_classes):
    """Class of every row, as the number of its row in coef."""
    y = np.asarray(plain(y, "y"))
    if y.shape != (n_samples,):
        raise ValueError(f"y must have shape ({n_samples},). Got {y.shape}.")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= n_classes:
        raise ValueError(
            f"y must hold integers in the range [0, {n_classes}): rows of coef. Got "
            f"{np.unique(y)[:10]}."
        )
    return y


def check_distributions(q, name, n_samples=None, n_clusters=None):
    """Rows of probabilities, each of which sums to 1, to the last digit."""
    q = check_matrix(q, name, n_clusters)
    if n_samples is not None and len(q) != n_samples:
        raise ValueError(f"{name} has {len(q)} rows, but there are {n_samples} of z.")
    total = q.sum(axis=1, keepdims=True)
    if q.min() < 0 or np.abs(total - 1).max() > _ROW_SUM_TOLERANCE:
        raise ValueError(
            f"The rows of {name} must be non-negative and sum to 1. Got a least value "
            f"of {q.min():.3g} and sums from {total.min():.6g} to {total.max():.6g}."
        )
    return q / total


def check_positive(value, name):
    """Positive finite number."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError(
            f"{name} must be a float in the range (0, inf). Got {value!r}."
        )
    return float(value)
