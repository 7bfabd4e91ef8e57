"""The random walk on the directed graph of nearest neighbours."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

# Neighbours whose mean squared distance is the unit of the weights.
_SCALE_NEIGHBORS = 3


def neighbor_walk(X: NDArray, n_neighbors: int) -> tuple[sp.csr_array, NDArray]:
    r"""Probabilities of a step from each row to its nearest neighbours.

    .. math::
        p_{ij} \propto \exp \left( -\lVert x_i - x_j \rVert^2 / \sigma^2 \right),
        \qquad \sum_j p_{ij} = 1,

    for the neighbours j of row i, where :math:`\sigma^2` is the mean squared distance
    of all rows to their three nearest neighbours.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_neighbors : int
        At most n_samples - 1.

    Returns
    -------
    walk : CSR array of shape (n_samples, n_samples)
    nearest : ndarray of shape (n_samples,)
        The nearest neighbour of each row.
    """
    n_samples = len(X)
    distances, neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors()
    squared = distances**2
    unit = squared[:, :_SCALE_NEIGHBORS].mean() or 1.0
    # Of the nearest one 1: far rows would have no weight left to divide by.
    weights = np.exp((squared[:, :1] - squared) / unit)
    weights /= weights.sum(axis=1, keepdims=True)
    ends = np.arange(0, n_samples * n_neighbors + 1, n_neighbors)
    shape = (n_samples, n_samples)
    walk = sp.csr_array((weights.ravel(), neighbors.ravel(), ends), shape=shape)
    return walk, neighbors[:, 0]
