"""Which rows a score is computed on, and how often each is there."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skdeepcluster.utils._input import checked_weight
from skdeepcluster.utils._numbers import check_number

# Weights that differ from whole numbers by less have been rounded on their way.
_ROUNDING = 1e-9
# Of more copies the sample is drawn from the measure: a list of them takes memory.
_MOST_LISTED = 2**24
# Beyond, every float is a whole number.
_LARGEST = 2.0**53


def sample_rows(n_samples, sample_size=2000, random_state=0):
    """Choose the rows on which a score is computed.

    The choice depends on nothing but the three arguments: with an integer seed, all
    models that are compared on the same data are compared on the same rows.

    Parameters
    ----------
    n_samples : int
        Number of rows there are.

    sample_size : int or None, default=2000
        Number of rows wanted, at least 2. None asks for all.

    random_state : int, RandomState instance or None, default=0
        Seed of the choice. None gives another choice at every call.

    Returns
    -------
    rows : ndarray of shape (min(n_samples, sample_size),), dtype intp
        Different row numbers, sorted. All of them if `n_samples` is at most
        `sample_size`.

    Examples
    --------
    >>> from skdeepcluster.metrics import sample_rows
    >>> sample_rows(4)
    array([0, 1, 2, 3])
    """
    check_sample_size(n_samples, sample_size)
    if sample_size is None or n_samples <= sample_size:
        return np.arange(n_samples, dtype=np.intp)
    shuffled = check_random_state(random_state).permutation(n_samples)
    return np.sort(shuffled[:sample_size]).astype(np.intp)


def check_sample_size(n_samples, sample_size):
    """Refuse sizes that are none."""
    check_number(n_samples, "n_samples", Integral, 0)
    if sample_size is not None:
        check_number(sample_size, "sample_size", Integral, 2)


def as_copies(sample_weight, X):
    """How many copies of each row there are; None where each is there once.

    Whole numbers are taken as they are. Of others only the ratios count: they are
    scaled to a mean of 1 over the rows that have any.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    X : {array-like, sparse matrix} of shape (n_samples, n_features)

    Returns
    -------
    copies : ndarray of shape (n_samples,), float64, or None
    """
    if sample_weight is None:
        return None
    return scaled(checked_weight(sample_weight, X))


def scaled(weight):
    """Valid weights as copies; None where each row is there once."""
    whole = np.rint(weight)
    if weight.sum() < _LARGEST and (np.abs(weight - whole) <= _ROUNDING * weight).all():
        return None if (whole == 1).all() else whole
    if np.ptp(weight) == 0:
        return None
    weight = weight / weight.max()  # sums of very large ones overflow
    return weight / weight[weight > 0].mean()


def draw_copies(copies, sample_size, random_state):
    """How many copies of each row a sample of them holds.

    Whole copies are drawn as :func:`~skdeepcluster.metrics.sample_rows` draws from rows
    that are repeated so often.

    Parameters
    ----------
    copies : ndarray of shape (n_samples,), float64
        How many there are.
    sample_size : int or None
    random_state : int, RandomState instance or None

    Returns
    -------
    drawn : ndarray of shape (n_samples,), float64
    """
    whole = (copies == np.rint(copies)).all()
    size = copies.sum() if whole else np.count_nonzero(copies)
    if sample_size is None or size <= sample_size:
        return copies
    ends = copies.cumsum()
    if whole and size <= _MOST_LISTED:
        places = sample_rows(int(size), sample_size, random_state)
    else:
        random = check_random_state(random_state)
        places = random.uniform(0, ends[-1], sample_size)
    rows = np.searchsorted(ends, places, side="right").clip(max=len(copies) - 1)
    return np.bincount(rows, minlength=len(copies)).astype(np.float64)


def sampled(copies, n_samples, sample_size, random_state):
    """Rows of a sample, and how often each is in it; None where each is once.

    Parameters
    ----------
    copies : ndarray of shape (n_samples,) or None
        How many there are of each row.
    n_samples : int
    sample_size : int or None
    random_state : int, RandomState instance or None

    Returns
    -------
    rows : ndarray of shape (m,), dtype intp
        Sorted.
    copies : ndarray of shape (m,) or None
    """
    if copies is None:
        return sample_rows(n_samples, sample_size, random_state), None
    check_sample_size(n_samples, sample_size)
    drawn = draw_copies(copies, sample_size, random_state)
    rows = np.flatnonzero(drawn)
    drawn = drawn[rows]
    return rows, None if (drawn == 1).all() else drawn
