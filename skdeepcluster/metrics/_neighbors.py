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


def scan_distances(X, metric, *, n_neighbors=None, codes=None, copies=None):
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

    copies : ndarray of shape (n_samples,), float64, default=None
        How often each row is there, above 0. None: once.

    Returns
    -------
    graph : COO array of shape (n_samples, n_samples) or None
        Symmetric weights of edges, in (0, 1] where rows are there once. Edges between
        copies of a row are on the diagonal.

    silhouette : float or None
        Mean silhouette, where a row that is alone in its cluster counts as 0.
    """
    X = _rescale(X, metric, copies)
    if copies is None and n_neighbors is not None:
        n_neighbors = min(n_neighbors, X.shape[0] - 1)
    coefficients, links = [], []
    for rows, distances, noise in _distance_blocks(X, metric, copies is None):
        if n_neighbors is not None:
            links.append(_links(distances, rows, n_neighbors, noise, copies))
        if codes is not None:
            if metric == "euclidean":
                np.sqrt(distances, out=distances)
            found = _silhouette_coefficients(distances, rows, codes, copies)
            coefficients.append(found)
    graph = None if n_neighbors is None else _symmetric_graph(links, copies)
    if codes is None:
        return graph, None
    return graph, float(np.average(np.concatenate(coefficients), weights=copies))


def modularity(graph, codes, resolution):
    """Modularity of the clusters 0..n_clusters-1 on a symmetric COO graph."""
    total = graph.data.sum()
    within = graph.data[codes[graph.row] == codes[graph.col]].sum()
    degrees = np.bincount(codes[graph.row], weights=graph.data)
    return float(within / total - resolution * ((degrees / total) ** 2).sum())


def _rescale(X, metric, copies):
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
    return _divide_by_largest(X - np.average(X, axis=0, weights=copies))


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


def _distance_blocks(X, metric, alone):
    """Yield blocks of rows of the distance matrix, with their rounding errors.

    Euclidean distances are squared. What is indistinguishable from 0 is 0. Unless rows
    are `alone`, the diagonal is how far they are from their copies: by the cosine, a
    row of zeros is 1 from another.
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
        if alone:
            distances[_diagonal(rows)] = 0
        yield rows, distances, noise


def _diagonal(rows):
    """Where a block of rows meets the diagonal."""
    return np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)


def _links(distances, rows, n_neighbors, noise, copies):
    """Nearest neighbours of a block of rows, as (row, column, weight).

    A neighbour weighs 1. Where several rows are equally far at the last place, they
    share the places that are left: the expected result of breaking ties at random.
    """
    distances = distances.copy()
    if copies is not None:
        return _links_of_copies(distances, rows, n_neighbors, noise, copies)
    distances[_diagonal(rows)] = np.inf
    last = np.partition(distances, n_neighbors - 1, axis=1)[:, [n_neighbors - 1]]
    slack = 2 * noise + 1e-12 * last
    row, column = np.nonzero(distances <= last + slack)
    closer = distances[row, column] < (last - slack)[row, 0]
    n_closer = np.bincount(row, weights=closer)
    n_tied = np.bincount(row, weights=~closer)
    weight = np.where(closer, 1.0, ((n_neighbors - n_closer) / n_tied)[row])
    return row + rows.start, column, weight


def _links_of_copies(distances, rows, n_neighbors, noise, copies):
    """Links as above, where neighbours are counted by copies.

    The other copies of a row are its neighbours at distance 0.
    """
    mass = _mass_of_others(rows, copies)
    distances[mass == 0] = np.inf
    order = np.argsort(distances, axis=1)
    reached = np.take_along_axis(mass, order, axis=1).cumsum(axis=1)
    wanted = np.minimum(n_neighbors, reached[:, [-1]])
    place = (reached >= wanted * (1 - 1e-12)).argmax(axis=1)[:, None]
    place = np.take_along_axis(order, place, axis=1)
    last = np.take_along_axis(distances, place, axis=1)
    slack = 2 * noise + 1e-12 * last
    near, closer = distances <= last + slack, distances < last - slack
    tied = (mass * (near & ~closer)).sum(axis=1, keepdims=True)
    share = (wanted - (mass * closer).sum(axis=1, keepdims=True)) / tied
    row, column = np.nonzero(near)
    weight = np.where(closer[row, column], 1.0, share[row, 0])
    return row + rows.start, column, weight


def _mass_of_others(rows, copies):
    """How many others of each row there are beside those of a block, (b, n)."""
    mass = np.tile(copies, (rows.stop - rows.start, 1))
    mass[_diagonal(rows)] = np.maximum(copies[rows] - 1, 0)
    return mass


def _symmetric_graph(links, copies):
    """Join the blocks; an edge weighs what the nearer neighbour of its ends says.

    All edges between the copies of two rows weigh the same: here they are one.
    """
    row, column, weight = (np.concatenate(part) for part in zip(*links, strict=True))
    n_samples = row[-1] + 1
    graph = sp.csr_array((weight, (row, column)), shape=(n_samples, n_samples))
    graph = graph.maximum(graph.T).tocoo()
    if copies is not None:
        others = copies[graph.col] - (graph.row == graph.col)
        graph.data = graph.data * copies[graph.row] * np.maximum(others, 0)
    return graph


def _silhouette_coefficients(distances, rows, codes, copies):
    """Silhouette of each row of a block, given its distances to all rows."""
    counts, sizes = np.bincount(codes), np.bincount(codes, weights=copies)
    own_copies = 1 if copies is None else copies[rows]
    if copies is not None:
        distances = distances * _mass_of_others(rows, copies)
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(counts) - counts
    sums = np.add.reduceat(distances[:, order], starts, axis=1)

    own = np.arange(len(distances)), codes[rows]
    alone = (counts[codes[rows]] == 1) & (own_copies <= 1)
    others = sizes[codes[rows]] - np.minimum(own_copies, 1)
    within = sums[own] / np.where(alone, 1, others)
    sums[own] = np.inf
    nearest = (sums / sizes).min(axis=1)
    largest = np.maximum(within, nearest)
    # All distances 0: no cluster is nearer than another.
    defined = ~alone & (largest > 0)
    return np.where(defined, nearest - within, 0) / np.where(defined, largest, 1)
