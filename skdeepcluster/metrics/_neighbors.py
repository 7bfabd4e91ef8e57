"""One pass over all pairwise distances: who is near whom, and the silhouette.

Equal distances are common in real data (repeated rows, counts, pixels), and rounding
makes them differ by a few units in the last place, depending on the order of the rows.
All that follows treats distances within the rounding error as equal, so that the
scores are functions of the data as a set.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.metrics.pairwise import (
    cosine_distances,
    euclidean_distances,
    manhattan_distances,
)
from sklearn.utils import gen_batches
from sklearn.utils.extmath import row_norms

METRICS = ("euclidean", "cosine", "manhattan")

# Distances held in memory at a time (32 MiB): all of them for 2000 rows.
_BLOCK_ENTRIES = 2**22

# Rounding error of a squared distance, relative to the squared norms of its rows.
_ROUNDING = 1e-13


def scan_distances(X, metric, *, n_neighbors=None, codes=None):
    """Compute the neighbour graph and the silhouette in one pass over the distances.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        At least 2 rows, finite, of any numeric dtype.

    metric : {"euclidean", "cosine", "manhattan"}
        Distance between rows.

    n_neighbors : int, default=None
        Number of neighbours; all other rows if there are fewer. None: no graph.

    codes : ndarray of shape (n_samples,), dtype intp, default=None
        Cluster of each row, 0..n_clusters-1, none of them empty and at least two.
        None: no silhouette.

    Returns
    -------
    graph : COO array of shape (n_samples, n_samples) or None
        Symmetric weights in (0, 1], nothing on the diagonal.

    silhouette : float or None
        Mean silhouette, where a row that is alone in its cluster counts as 0.
    """
    X = _rescale(X, metric)
    n_neighbors = n_neighbors and min(n_neighbors, X.shape[0] - 1)
    coefficients, links = [], []
    for rows, distances, noise in _distance_blocks(X, metric):
        if n_neighbors is not None:
            links.append(_links(distances, rows, n_neighbors, noise))
        if codes is not None:
            if metric == "euclidean":
                np.sqrt(distances, out=distances)
            coefficients.append(_silhouette_coefficients(distances, rows, codes))
    graph = None if n_neighbors is None else _symmetric_graph(links)
    return graph, None if codes is None else float(np.concatenate(coefficients).mean())


def modularity(graph, codes, resolution):
    """Modularity of the clusters 0..n_clusters-1 on a symmetric COO graph."""
    total = graph.data.sum()
    within = graph.data[codes[graph.row] == codes[graph.col]].sum()
    degrees = np.bincount(codes[graph.row], weights=graph.data)
    return float(within / total - resolution * ((degrees / total) ** 2).sum())


def _rescale(X, metric):
    """Bring X to float64 and to a size where squares neither overflow nor vanish.

    Neighbourhoods and silhouettes do not change if all rows are divided by one number
    or, for the cosine, each by its own; nor, but for the cosine, if all are shifted,
    which spares digits where the mean is far from 0.
    """
    if sp.issparse(X):
        X = X.astype(np.float64)
    else:
        # In C order, for sums differ by rounding from one layout to the other.
        X = np.array(X, dtype=np.float64, order="C")
    if metric == "cosine":
        return _divide_rows_by_largest(X)
    X = _divide_by_largest(X)
    if sp.issparse(X):
        return X
    return _divide_by_largest(X - X.mean(axis=0))


def _divide_by_largest(X):
    largest = abs(X).max()
    return X if largest == 0 else X / largest


def _divide_rows_by_largest(X):
    largest = abs(X).max(axis=1)
    largest = largest.toarray().ravel() if sp.issparse(X) else largest
    largest[largest == 0] = 1
    if not sp.issparse(X):
        return X / largest[:, None]
    X.data /= np.repeat(largest, np.diff(X.indptr))
    return X


def _distance_blocks(X, metric):
    """Yield blocks of rows of the distance matrix, with their rounding errors.

    Euclidean distances are squared. What is indistinguishable from 0 is 0.
    """
    n_samples = X.shape[0]
    size = row_norms(X, squared=True) if metric == "euclidean" else np.ones(n_samples)
    for rows in gen_batches(n_samples, max(1, _BLOCK_ENTRIES // n_samples)):
        if metric == "euclidean":
            distances = euclidean_distances(
                X[rows], X, Y_norm_squared=size, squared=True
            )
        elif metric == "cosine":
            distances = cosine_distances(X[rows], X)
        else:
            distances = manhattan_distances(X[rows], X)
        noise = _ROUNDING * size[rows, None]
        distances[distances <= noise] = 0
        distances[_diagonal(rows)] = 0
        yield rows, distances, noise


def _diagonal(rows):
    """Where a block of rows meets the diagonal."""
    return np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)


def _links(distances, rows, n_neighbors, noise):
    """Nearest neighbours of a block of rows, as (row, column, weight).

    A neighbour weighs 1. Where several rows are equally far at the last place, they
    share the places that are left: the expected result of breaking ties at random.
    """
    distances = distances.copy()
    distances[_diagonal(rows)] = np.inf
    last = np.partition(distances, n_neighbors - 1, axis=1)[:, [n_neighbors - 1]]
    slack = 2 * noise + 1e-12 * last
    row, column = np.nonzero(distances <= last + slack)
    closer = distances[row, column] < (last - slack)[row, 0]
    n_closer = np.bincount(row, weights=closer)
    n_tied = np.bincount(row, weights=~closer)
    weight = np.where(closer, 1.0, ((n_neighbors - n_closer) / n_tied)[row])
    return row + rows.start, column, weight


def _symmetric_graph(links):
    """Join the blocks; an edge weighs what the nearer neighbour of its ends says."""
    row, column, weight = (np.concatenate(part) for part in zip(*links, strict=True))
    n_samples = row[-1] + 1
    graph = sp.csr_array((weight, (row, column)), shape=(n_samples, n_samples))
    return graph.maximum(graph.T).tocoo()


def _silhouette_coefficients(distances, rows, codes):
    """Silhouette of each row of a block, given its distances to all rows."""
    sizes = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    sums = np.add.reduceat(distances[:, order], starts, axis=1)

    own = np.arange(len(distances)), codes[rows]
    own_size = sizes[codes[rows]]
    within = sums[own] / np.maximum(own_size - 1, 1)
    sums[own] = np.inf
    nearest = (sums / sizes).min(axis=1)
    largest = np.maximum(within, nearest)
    # All distances 0: no cluster is nearer than another.
    defined = (own_size > 1) & (largest > 0)
    return np.where(defined, nearest - within, 0) / np.where(defined, largest, 1)
