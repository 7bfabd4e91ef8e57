"""Cosine distances to centres, of which a row's bits are its own."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import linear

from skdeepcluster.engine import map_blocks
from skdeepcluster.kmeans import as_matrix

# Inner dimensions are padded to this, see engine/_inference.py.
_INNER_MULTIPLE = 4


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
    # scipy takes the products of sparse rows one row after the other.
    products = _sparse_cosines if sp.issparse(X) else _dense_cosines
    return np.clip(1 - products(X, centers), 0, 2)


def _sparse_cosines(X, centers):
    matrix = as_matrix(X)
    norms = matrix.norms.numpy()[:, None]
    products = np.asarray(matrix.x.astype(np.float64) @ centers.T)
    return products / np.where(norms > 0, norms, 1)


def _dense_cosines(X, centers):
    missing = -X.shape[1] % _INNER_MULTIPLE
    operand = torch.from_numpy(np.pad(centers, ((0, 0), (0, missing))))  # (k, d)

    def read(start, stop):
        rows = np.array(X[start:stop], dtype=np.float64)
        # The largest entry first: the square of a very large one would overflow.
        for scale in (np.abs(rows).max(axis=1), None):
            if scale is None:
                scale = np.sqrt(np.square(rows).sum(axis=1))
            rows /= np.where(scale > 0, scale, 1)[:, None]
        return torch.from_numpy(np.pad(rows, ((0, 0), (0, missing))))

    # As a layer: other forms of the product treat the last rows of a block otherwise.
    return map_blocks(lambda rows: linear(rows, operand), read, X.shape[0]).numpy()
