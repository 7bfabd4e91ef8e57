"""Clusters of a graph of nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components
from sklearn.utils import check_array

from skdeepcluster.graphs._linkage import path_integral_linkage
from skdeepcluster.graphs._neighbor_graph import NeighborGraph
from skdeepcluster.graphs._tree import cut_tree
from skdeepcluster.neighbors import NeighborSearch, distinct_rows
from skdeepcluster.utils._forms import plain_rows
from skdeepcluster.utils._numbers import check_number

# A group of fewer rows than this share of the mean is left over, not a cluster.
_SMALLEST_SHARE = 0.25
# Rows of a group that stand for it where no path leads from one group to another.
_SOME = 32

#: Distances of rows `i` to rows `j`, (m,).
Distances = Callable[[NDArray, NDArray], NDArray]


def path_integral_partition(
    X: NDArray, n_clusters: int, n_neighbors: int = 20
) -> NDArray:
    """Agglomerate rows by the paths between them (AC-PIC).

    Rows start in groups with their nearest neighbour, and each walks to its
    neighbours with the same probability. Groups of fewer rows than one has neighbours
    (or than a quarter of the mean) are left over, and their rows join the clusters
    that their neighbours are in: without this the last places of the published
    algorithm often go to pairs of outliers. Clusters between which no path leads are
    joined by their mean distance, where there are too many.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite; at least `n_clusters` rows.
    n_clusters : int
    n_neighbors : int, default=20
        Neighbours of each row in the graph, counted among different rows; all others
        where there are fewer.

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
    distinct = distinct_rows(X)
    n_kinds = len(distinct.first)
    if n_kinds <= n_clusters:
        return _spread(distinct.kind, n_clusters)
    search = NeighborSearch(X[distinct.first])
    index, distance = search.neighbors(min(n_neighbors, n_kinds - 1))
    graph = NeighborGraph.of(index, distance, n_kinds)
    labels = path_integral_clusters(
        graph,
        n_clusters,
        mass=distinct.mass(),
        distances=lambda i, j: search.space.squared(i, search.space, j),
    )
    return labels[distinct.kind]


def path_integral_clusters(
    graph: NeighborGraph,
    n_clusters: int,
    *,
    mass: NDArray,
    distances: Distances,
) -> NDArray[np.intp]:
    """Agglomerate the rows of a graph by the paths between them.

    Parameters
    ----------
    graph : NeighborGraph
        Of more than `n_clusters` rows, all different.
    n_clusters : int
    mass : ndarray of shape (m,)
        How often each row is there.
    distances : callable
        Of rows between which no path leads; any monotone function of distances.

    Returns
    -------
    labels : ndarray of shape (m,), intp
        0..n_clusters-1, each of them used.
    """
    groups = _nearest_groups(graph.nearest(), n_clusters)
    counts = np.bincount(groups)
    merges = path_integral_linkage(graph.walk(), groups, mass)
    widest = int(np.diff(graph.indptr).max(initial=1))
    min_size = min(widest, int(_SMALLEST_SHARE * len(graph) / n_clusters))
    labels = cut_tree(merges, counts, n_clusters, min_size)[groups]
    labels = _joined(labels, n_clusters, distances)
    return _completed(labels, graph, distances)


def _spread(kind: NDArray, n_clusters: int) -> NDArray[np.intp]:
    """Equal rows together, and where there are too few kinds, apart after all."""
    labels, n_kinds = kind.copy(), kind.max() + 1
    counts = np.bincount(kind)
    for missing in range(n_kinds, n_clusters):
        largest = counts.argmax()
        labels[np.flatnonzero(labels == largest)[-1]] = missing
        counts[largest] -= 1
    return labels


def _nearest_groups(nearest: NDArray, n_clusters: int) -> NDArray:
    """Rows with their nearest neighbours; single rows if these groups are too few."""
    n_rows = len(nearest)
    ends = (np.arange(n_rows), nearest)
    links = sp.csr_array((np.ones(n_rows), ends), shape=(n_rows, n_rows))
    n_groups, groups = connected_components(links, connection="weak")
    return groups if n_groups >= n_clusters else np.arange(n_rows)


def _joined(labels: NDArray, n_clusters: int, distances: Distances) -> NDArray:
    """Join clusters that no path joins, by the mean distance of some of their rows."""
    n_found = labels.max() + 1
    if n_found <= n_clusters:
        return labels
    some = [representatives(np.flatnonzero(labels == c)) for c in range(n_found)]
    apart = []
    for a in range(n_found):
        for b in range(a + 1, n_found):
            i, j = np.meshgrid(some[a], some[b], indexing="ij")
            apart.append(float(distances(i.ravel(), j.ravel()).mean()))
    tree = linkage(np.array(apart), "average")
    cluster = fcluster(tree, n_clusters, "maxclust") - 1
    cluster = np.unique(cluster, return_inverse=True)[1]
    return np.where(labels < 0, -1, cluster[labels])


def representatives(rows: NDArray) -> NDArray:
    """Some of the rows, spread over all."""
    return rows[:: -(-len(rows) // _SOME)]


def _completed(labels: NDArray, graph: NeighborGraph, distances: Distances) -> NDArray:
    """Give the rows that are left over the cluster in which most neighbours are."""
    walk = graph.walk()
    while (labels < 0).any():
        known = labels >= 0
        left = np.flatnonzero(~known)
        member = sp.csr_array(
            (np.ones(known.sum()), (np.flatnonzero(known), labels[known])),
            shape=(len(labels), labels.max() + 1),
        )
        votes = (walk[left] @ member).toarray()
        reached = votes.any(axis=1)
        if not reached.any():
            return _nearest_known(labels, distances)
        labels[left[reached]] = votes[reached].argmax(axis=1)
    return labels


def _nearest_known(labels: NDArray, distances: Distances) -> NDArray:
    """Give rows that walk to no cluster that of the nearest row that has one."""
    known = np.flatnonzero(labels >= 0)
    for row in np.flatnonzero(labels < 0):
        near = distances(np.full(len(known), row), known).argmin()
        labels[row] = labels[known[near]]
    return labels
