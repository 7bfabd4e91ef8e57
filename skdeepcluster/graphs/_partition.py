"""Clusters of a graph of nearest neighbours."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_array

from skdeepcluster.graphs._linkage import path_integral_linkage
from skdeepcluster.graphs._tree import cut_tree
from skdeepcluster.graphs._walks import neighbor_walk
from skdeepcluster.utils._forms import plain_rows
from skdeepcluster.utils._numbers import check_number

# A group of fewer rows than this share of the mean is left over, not a cluster.
_SMALLEST_SHARE = 0.25


def path_integral_partition(
    X: NDArray, n_clusters: int, n_neighbors: int = 20
) -> NDArray:
    """Agglomerate rows by the paths between them (AC-PIC).

    Rows start in groups with their nearest neighbour. Groups that no paths join to a
    cluster, and those of fewer rows than one has neighbours (or than a quarter of the
    mean), go to the cluster with the nearest mean: without this the last places of the
    published algorithm often go to pairs of outliers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite; at least `n_clusters` rows.
    n_clusters : int
    n_neighbors : int, default=20
        Neighbours of each row in the graph; all others where there are fewer.

    Returns
    -------
    labels : ndarray of shape (n_samples,), int
        0..n_clusters-1, each of them used.

    References
    ----------
    W. Zhang, D. Zhao and X. Wang, "Agglomerative clustering via maximum incremental
    path integral", Pattern Recognition 46, 2013.
    """
    X = check_array(plain_rows(X), dtype=np.float64, input_name="X")
    check_number(n_clusters, "n_clusters", Integral, 1)
    check_number(n_neighbors, "n_neighbors", Integral, 1)
    if len(X) < n_clusters:
        raise ValueError(f"n_samples={len(X)} should be >= n_clusters={n_clusters}.")
    if len(X) <= max(n_clusters, 2):
        return np.arange(len(X)) % n_clusters
    X = _near_one(X)
    n_neighbors = min(n_neighbors, len(X) - 1)
    walk, nearest = neighbor_walk(X, n_neighbors)
    groups = _nearest_groups(nearest, n_clusters)
    min_size = min(n_neighbors, int(_SMALLEST_SHARE * len(X) / n_clusters))
    merges = path_integral_linkage(walk, groups)
    cut = cut_tree(merges, np.bincount(groups), n_clusters, min_size)
    return _completed(X, cut[groups], n_clusters)


def _near_one(X: NDArray) -> NDArray:
    """Rows times a power of two, exactly: no square overflows, and not all vanish."""
    _, exponent = np.frexp(np.abs(X).max())
    return np.ldexp(X, -exponent)


def _nearest_groups(nearest: NDArray, n_clusters: int) -> NDArray:
    """Rows with their nearest neighbours; single rows if these groups are too few."""
    n_samples = len(nearest)
    ends = (np.arange(n_samples), nearest)
    links = sp.csr_array((np.ones(n_samples), ends), shape=(n_samples, n_samples))
    n_groups, groups = connected_components(links, connection="weak")
    return groups if n_groups >= n_clusters else np.arange(n_samples)


def _completed(X: NDArray, labels: NDArray, n_clusters: int) -> NDArray:
    """Join what no path joins, and give every row a cluster."""
    n_found = labels.max() + 1
    means = np.stack([X[labels == k].mean(axis=0) for k in range(n_found)])
    if n_found > n_clusters:
        joined = AgglomerativeClustering(n_clusters).fit_predict(means)
        labels = np.where(labels < 0, -1, joined[labels])
        means = np.stack([X[labels == k].mean(axis=0) for k in range(n_clusters)])
    left = np.flatnonzero(labels < 0)
    if len(left):
        labels[left] = pairwise_distances_argmin(X[left], means)
    return labels
