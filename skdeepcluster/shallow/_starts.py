"""Starting centres, as the `init` of an estimator says."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils import check_array

from skdeepcluster.kmeans import Seeding
from skdeepcluster.utils._forms import plain_numbers
from skdeepcluster.utils._stored import StoredRows

METHODS = ("k-means++", "random", "farthest")


def number_of_starts(init, n_init, of_seeding=1):
    """What "auto" means, and 1 where every start would be the same.

    Parameters
    ----------
    init : str, array-like or callable
    n_init : int or "auto"
    of_seeding : int, default=1
        What "auto" means for k-means++.

    Returns
    -------
    n_starts : int
    """
    by_chance = callable(init) or (isinstance(init, str) and init != "farthest")
    if not by_chance:
        return 1
    if n_init != "auto":
        return n_init
    return of_seeding if isinstance(init, str) and init == "k-means++" else 10


def starts(init, n_clusters, X, matrix, weight, streams):
    """Function that gives the centres of a start, and when called again the next.

    Parameters
    ----------
    init : str, array-like or callable
    n_clusters : int
    X : ndarray or CSR matrix of shape (n, d)
        What a callable gets.
    matrix : DenseMatrix or SparseMatrix
        The same rows.
    weight : Tensor of shape (n,)
    streams : RandomStreams

    Returns
    -------
    start : callable
    """
    if isinstance(init, str):
        seeding = Seeding(matrix, weight, streams.generator("kmeans"))
        return lambda: seeding.draw(init, n_clusters)
    given = given_centers(init, n_clusters, X, streams)
    return lambda: matrix.centers_type(torch.from_numpy(_directions(given())))


def given_centers(init, n_clusters, X, streams):
    """Function that gives the centres a user has passed, or computes for each start.

    Parameters
    ----------
    init : array-like or callable
    n_clusters : int
    X : ndarray or CSR matrix of shape (n, d)
        What a callable gets.
    streams : RandomStreams

    Returns
    -------
    given : callable
        Returns an ndarray of shape (k, d), float64.
    """
    expected = (n_clusters, X.shape[1])
    if not callable(init):
        return lambda: _check_centers(init, expected)
    random = np.random.RandomState(streams.seed("kmeans") % 2**32)
    X = X.x if isinstance(X, StoredRows) else X  # as the user has passed it
    return lambda: _check_centers(init(X, n_clusters, random_state=random), expected)


def _check_centers(centers, expected):
    centers = centers.toarray() if sp.issparse(centers) else centers
    centers = plain_numbers(centers, "init")
    if centers.shape != expected:
        raise ValueError(
            "The initial centers should have shape (n_clusters, n_features) = "
            f"{expected}, got {centers.shape}."
        )
    return check_array(centers, input_name="init", copy=True)


def _directions(centers):
    largest = np.abs(centers).max(axis=1, keepdims=True)
    if not largest.all():
        raise ValueError(
            "The initial centers should not be zero, got a row of zeros at "
            f"{int(np.flatnonzero(largest == 0)[0])}."
        )
    centers = centers / largest
    return centers / np.linalg.norm(centers, axis=1, keepdims=True)
