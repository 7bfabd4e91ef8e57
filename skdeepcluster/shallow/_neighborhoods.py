"""Where the neighbours of rows come from: a search, a matrix, or another library."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.base import clone

from skdeepcluster.graphs import NeighborGraph
from skdeepcluster.neighbors import DistinctRows, NeighborSearch, distinct_rows


class SearchedNeighborhood:
    """Neighbours among given rows, found by comparing all of them.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (m, n_features)
        Different rows.
    metric : {"euclidean", "cosine"}
    device : torch.device or str
    """

    def __init__(self, X, metric, device):
        self.X = X
        self.metric = metric
        self._search = NeighborSearch(X, metric, device)
        self._own = None

    def training_graph(self, n_neighbors):
        """Neighbours of the rows among each other."""
        n_rows = self.X.shape[0]
        index, distance = self._own_neighbors(min(n_neighbors + 1, n_rows))
        return _without_own(index, distance, n_rows)

    def own_graph(self, n_neighbors):
        """What `graph_of` says of the rows themselves."""
        n_rows = self.X.shape[0]
        index, distance = self._own_neighbors(min(n_neighbors, n_rows))
        return NeighborGraph.of(index, distance, n_rows)

    def _own_neighbors(self, n_neighbors):
        """Neighbours with the rows themselves; searched once for the most of them."""
        if self._own is None or self._own[0].shape[1] < n_neighbors:
            self._own = self._search.neighbors(n_neighbors, with_self=True)
        index, distance = self._own
        return index[:, :n_neighbors], distance[:, :n_neighbors]

    def graph_of(self, X, n_neighbors):
        """Neighbours of other rows; one that is equal to a row has it as its first."""
        n_rows, X = self.X.shape[0], _stored_like(X, self.X)
        index, distance = self._search.neighbors(min(n_neighbors, n_rows), X)
        return NeighborGraph.of(index, distance, n_rows)

    def distances(self, i, j):
        """Squared distances of rows `i` to rows `j`."""
        space = self._search.space
        return space.squared(i, space, j)

    def forget(self):
        """Leave out what only fit needs."""
        self._own = None

    def __getstate__(self):
        return {"X": self.X, "metric": self.metric}

    def __setstate__(self, state):
        self.__init__(state["X"], state["metric"], "cpu")


class GivenNeighborhood:
    """Neighbours in a matrix of distances, or in a graph of those that are known.

    Parameters
    ----------
    distances : {ndarray, CSR matrix} of shape (m, m)
        Between the rows that are learnt from. In CSR what is not stored is unknown.
    rows : ndarray of shape (m,)
        Their numbers among the training rows, for the columns of other matrices.
    """

    def __init__(self, distances, rows):
        self._given = distances
        self.rows = rows

    def training_graph(self, n_neighbors):
        """Neighbours of the rows among each other."""
        return NeighborGraph.of_distances(self._given, n_neighbors, alone=True)

    def own_graph(self, n_neighbors):
        """What `graph_of` says of the rows themselves."""
        return NeighborGraph.of_distances(self._given, n_neighbors, alone=False)

    def graph_of(self, X, n_neighbors):
        """Neighbours of other rows, from their distances to all training rows."""
        return NeighborGraph.of_distances(X[:, self.rows], n_neighbors, alone=False)

    def distances(self, i, j):
        """Distances of rows `i` to rows `j`; what is unknown is far."""
        if not sp.issparse(self._given):
            return self._given[i, j]
        found = np.asarray(self._given[i, j]).ravel()
        far = 2 * self._given.data.max(initial=1.0)
        return np.where((found == 0) & (i != j), far, found)

    def forget(self):
        """Leave out what only fit needs."""
        self._given = None


class TransformedNeighborhood:
    """Neighbours that a transformer of scikit-learn's kind finds.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (m, n_features)
        Different rows.
    metric : {"euclidean", "cosine"}
        For rows that no path of the graph joins.
    transformer : transformer
        Cloned. Its ``transform`` gives the distances to near rows as a sparse matrix,
        like :class:`~sklearn.neighbors.KNeighborsTransformer`.
    """

    def __init__(self, X, metric, transformer):
        self.X = X
        self.metric = metric
        self.transformer = clone(transformer)
        self._given = _known_distances(self.transformer.fit_transform(X), len(self))

    def __len__(self):
        return self.X.shape[0]

    def training_graph(self, n_neighbors):
        """Neighbours of the rows among each other."""
        return NeighborGraph.of_distances(self._given, n_neighbors, alone=True)

    def own_graph(self, n_neighbors):
        """What `graph_of` says of the rows themselves."""
        return self.graph_of(self.X, n_neighbors)

    def graph_of(self, X, n_neighbors):
        """Neighbours of other rows."""
        found = self.transformer.transform(_stored_like(X, self.X))
        distances = _known_distances(found, len(self))
        return NeighborGraph.of_distances(distances, n_neighbors, alone=False)

    def distances(self, i, j):
        """Squared distances of rows `i` to rows `j`."""
        rows, place = np.unique(np.concatenate([i, j]), return_inverse=True)
        space = NeighborSearch(self.X[rows], self.metric).space
        return space.squared(place[: len(i)], space, place[len(i) :])

    def forget(self):
        """Leave out what only fit needs."""
        self._given = None


def _stored_like(X, other):
    """Rows as CSR or dense, as other rows are."""
    if sp.issparse(X) == sp.issparse(other):
        return X
    return X.toarray() if sp.issparse(X) else sp.csr_array(X)


def _without_own(index, distance, n_rows):
    """Neighbours of rows but for themselves, or else but for the last."""
    own = index == np.arange(n_rows)[:, None]
    own[~own.any(axis=1), -1] = True
    shape = n_rows, index.shape[1] - 1
    return NeighborGraph.of(
        index[~own].reshape(shape), distance[~own].reshape(shape), n_rows
    )


def _known_distances(distances, n_rows):
    if not sp.issparse(distances) or distances.shape[1] != n_rows:
        raise ValueError(
            "The 'neighbors' parameter must be a transformer that gives a sparse "
            "matrix of distances to the rows it was fitted on, as "
            f"KNeighborsTransformer does. Got {type(distances).__name__} of shape "
            f"{distances.shape} for {n_rows} rows."
        )
    return sp.csr_array(distances)


def check_distances(X, *, square):
    """Refuse what are no distances.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, m)
    square : bool
        Whether they are those of the training rows to each other.
    """
    if square and X.shape[0] != X.shape[1]:
        raise ValueError(
            "X should be a matrix of shape (n_samples, n_samples) with "
            f"metric='precomputed', got {X.shape}."
        )
    least = (X.data if sp.issparse(X) else X).min(initial=0)
    if least < 0:
        raise ValueError(
            f"Distances should not be negative with metric='precomputed', got {least}."
        )


def distinct_points(distances):
    """Points at distance 0 of each other, in an order that the distances decide.

    Parameters
    ----------
    distances : {ndarray, CSR matrix} of shape (n, n)

    Returns
    -------
    distinct : DistinctRows
        In the order of the points where distances are sparse.
    """
    links = distances.copy() if sp.issparse(distances) else sp.csr_array(distances == 0)
    if sp.issparse(distances):
        links.data = (distances.data == 0).astype(float)
        links.eliminate_zeros()
    _, kind = connected_components(links, directed=False)
    _, first, kind = np.unique(kind, return_index=True, return_inverse=True)
    if sp.issparse(distances):
        return DistinctRows(first, kind)
    profiles = distinct_rows(np.sort(distances[np.ix_(first, first)], axis=1))
    order = np.argsort(profiles.kind, kind="stable")
    return DistinctRows(first[order], np.argsort(order)[kind])
