r"""Clusters of rows from those of their neighbours.

A row walks to its r-th nearest neighbour with a probability proportional to 1 / r, and
takes the cluster in which it most probably ends:

.. math::
    p_{ic} \propto v_c \sum_{r : \, c_{j_r} = c} \frac{1}{r} .

A row that is itself among the rows of the graph is its own nearest neighbour. Of the
rules that were compared (all neighbours alike, or in the proportions of their ranks,
or the nearest alone) this one changes fewest labels of the rows of the graph (0 to 0.4
percent on seven data sets) and is as good as any of them for new rows.

The factors :math:`v_c` are 1, but for clusters that no row would be left in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdeepcluster.graphs._neighbor_graph import NeighborGraph


@dataclass(frozen=True)
class NeighborVotes:
    """Clusters of the rows of a graph, and how neighbours vote with them.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), int
        Cluster of each row of the graph.
    factors : ndarray of shape (n_clusters,)
    """

    labels: NDArray
    factors: NDArray[np.float64]

    @classmethod
    def that_keep_all(
        cls, labels: NDArray, graph: NeighborGraph, n_clusters: int
    ) -> NeighborVotes:
        """Votes by which every cluster of `labels` keeps a row.

        Parameters
        ----------
        labels : ndarray of shape (n_rows,), int
        graph : NeighborGraph
            Of the same rows, each its own first neighbour.
        n_clusters : int
        """
        votes = cls(labels, np.ones(n_clusters))
        used = np.unique(labels)
        while True:
            found = votes.proba(graph).argmax(axis=1)
            lost = np.setdiff1d(used, found)
            if not len(lost):
                return votes
            votes.factors[lost] *= 2

    def proba(self, graph: NeighborGraph) -> NDArray[np.float64]:
        """Probability of each cluster, (m, n_clusters).

        Parameters
        ----------
        graph : NeighborGraph
            Neighbours of m rows. A row without any has the first cluster.
        """
        counts = np.diff(graph.indptr)
        rank = np.arange(len(graph.index)) - np.repeat(graph.indptr[:-1], counts)
        cluster = self.labels[graph.index]
        n_clusters = len(self.factors)
        votes = np.bincount(
            graph.row * n_clusters + cluster,
            self.factors[cluster] / (rank + 1),
            minlength=len(graph) * n_clusters,
        ).reshape(len(graph), n_clusters)
        votes[counts == 0, 0] = 1.0
        return votes / votes.sum(axis=1, keepdims=True)
