r"""Leading eigenvectors of the normalised graph of nearest neighbours.

With W the links of the graph, 1 where one of two rows is a neighbour of the other, m
the masses of the rows and :math:`d_i = \sum_j W_{ij} m_j`,

.. math::
    P_{ij} = \frac{W_{ij} m_j}{d_i}, \qquad P f = \lambda f

are the walk and its eigenvectors, and :math:`u_i = \sqrt{m_i d_i} \, f_i` those of the
symmetric :math:`\sqrt{m_i m_j} \, W_{ij} / \sqrt{d_i d_j}`, of unit length. A mass says
how often a row is there: f is that of the graph in which its copies are linked to those
of its neighbours.

A. Y. Ng, M. I. Jordan and Y. Weiss, "On spectral clustering: analysis and an
algorithm", NIPS 2001.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.sparse.linalg import eigsh

from skdeepcluster.graphs._neighbor_graph import NeighborGraph
from skdeepcluster.graphs._partition import Distances, representatives

# Up to so many rows all eigenvectors are computed.
_SMALL = 200
# Of an eigenvalue's square; its vector says more than labels need.
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class SpectralEmbedding:
    """Eigenvectors of the walk, of the largest eigenvalues.

    Parameters
    ----------
    vectors : ndarray of shape (m, n_components)
        Rows f of the rows of the graph.
    values : ndarray of shape (n_components,)
        Eigenvalues, the largest first.
    mass : ndarray of shape (m,)
    """

    vectors: NDArray[np.float64]
    values: NDArray[np.float64]
    mass: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        graph: NeighborGraph,
        n_components: int,
        mass: NDArray,
        distances: Distances,
    ) -> SpectralEmbedding:
        """Eigenvectors of a graph.

        Parameters
        ----------
        graph : NeighborGraph
            Of m rows, more than `n_components`.
        n_components : int
        mass : ndarray of shape (m,)
        distances : callable
            Of rows; where the graph has more parts than `n_components`, the nearest
            parts are linked.
        """
        links = _linked(graph.links(), n_components, distances)
        _, part = connected_components(links, directed=False)
        found = [
            _eigenvectors(links, np.flatnonzero(part == p), n_components, mass)
            for p in range(part.max() + 1)
        ]
        vectors = np.hstack([vectors for _, vectors in found])
        values = np.concatenate([values for values, _ in found])
        best = np.argsort(-values, kind="stable")[:n_components]
        return cls(vectors[:, best], values[best], mass)

    def rows_of(self, graph: NeighborGraph) -> NDArray[np.float64]:
        r"""Rows f of others, from those of their neighbours (Nyström).

        .. math::
            f(x) = \frac{1}{\lambda} \sum_j p_{xj} f_j, \qquad p_{xj} \propto m_j

        and of a row at distance 0 of one of the graph that row's.

        Parameters
        ----------
        graph : NeighborGraph
            Neighbours of other rows. A row without any is 0.

        Returns
        -------
        rows : ndarray of shape (n, n_components)
            Not scaled.
        """
        counts = np.diff(graph.indptr)
        rows = np.zeros((len(graph), len(self.values)))
        total = np.zeros(len(graph))
        for rank in range(counts.max(initial=0)):
            # One neighbour of every row at a time: sums in a fixed order.
            some = np.flatnonzero(counts > rank)
            neighbor = graph.index[graph.indptr[some] + rank]
            rows[some] += self.mass[neighbor, None] * self.vectors[neighbor]
            total[some] += self.mass[neighbor]
        # A walk ends at once what has the eigenvalue 0; nothing is known beside it.
        values = np.where(np.abs(self.values) > 1e-12, self.values, np.inf)
        rows /= np.where(total > 0, total, 1.0)[:, None] * values
        same = np.flatnonzero(graph.distance == 0)[
            ::-1
        ]  # the first one is written last
        rows[graph.row[same]] = self.vectors[graph.index[same]]
        return rows


def _linked(
    links: sp.csr_array, n_components: int, distances: Distances
) -> sp.csr_array:
    """The same, with links between the nearest parts where there are too many parts."""
    n_parts, part = connected_components(links, directed=False)
    if n_parts <= n_components:
        return links
    some = [representatives(np.flatnonzero(part == p)) for p in range(n_parts)]
    apart = np.zeros((n_parts, n_parts))
    ends = {}
    for a in range(n_parts):
        for b in range(a + 1, n_parts):
            i, j = (x.ravel() for x in np.meshgrid(some[a], some[b], indexing="ij"))
            between = distances(i, j)
            nearest = int(between.argmin())
            apart[a, b] = between[nearest] or np.finfo(float).tiny
            ends[a, b] = i[nearest], j[nearest]
    tree = minimum_spanning_tree(sp.csr_array(apart)).tocoo()
    pairs = [
        ends[a, b] for a, b in zip(tree.row.tolist(), tree.col.tolist(), strict=True)
    ]
    i, j = np.array(pairs).T
    new = sp.csr_array((np.ones(len(i)), (i, j)), shape=links.shape)
    return links.maximum(new).maximum(new.T).tocsr()


def _eigenvectors(
    links: sp.csr_array, rows: NDArray, n_components: int, mass: NDArray
) -> tuple[NDArray, NDArray]:
    """Eigenvalues and vectors f of a connected part, 0 on all other rows."""
    own, m = links[rows][:, rows], mass[rows]
    degree = own @ m
    scale = np.sqrt(m / np.where(degree > 0, degree, 1.0))
    matrix = sp.csr_array(own.multiply(scale[:, None]).multiply(scale))
    if len(rows) == 1:
        values, u = np.ones(1), np.ones((1, 1))  # which stays where it is
    elif len(rows) <= max(_SMALL, 3 * n_components):
        values, u = np.linalg.eigh(matrix.toarray())
    else:
        # From a vector that is the same in every fit, and not at a right angle to any.
        start = np.random.default_rng(0).uniform(0.5, 1.5, len(rows)) * scale
        values, u = eigsh(
            matrix,
            n_components,
            which="LA",
            v0=start,
            ncv=min(len(rows), max(4 * n_components, 40)),
            tol=_TOLERANCE,
        )
    best = np.argsort(-values, kind="stable")[:n_components]
    vectors = np.zeros((links.shape[0], len(best)))
    weight = np.sqrt(m * np.where(degree > 0, degree, 1.0))
    vectors[rows] = u[:, best] / weight[:, None]
    return values[best], vectors
