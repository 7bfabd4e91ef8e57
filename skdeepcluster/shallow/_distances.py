"""Cosine distances to centres, of which a row's bits are its own."""

from __future__ import annotations

import numpy as np

from skdeepcluster.kmeans import as_matrix
from skdeepcluster.kmeans.matrices import unit_blocks


def cosine_distances(X, centers):
    """Distances ``1 - cos`` of rows to centres.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
    centers : ndarray of shape (k, d)
        Of any length but zero.

    Returns
    -------
    distances : ndarray of shape (n, k), float64
        From 0 to 2; 1 for rows of zeros.
    """
    centers = centers.astype(np.float64)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    data = unit_blocks(as_matrix(X, precision="float64"))
    operand = data.operand(centers)
    distances = np.empty((X.shape[0], len(centers)))
    for rows, block in data:
        distances[rows] = 1 - data.cosines(block, operand)[: rows.stop - rows.start]
    return distances.clip(0, 2)
