"""The nearest neighbours of each row, as a graph to walk on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True)
class NeighborGraph:
    """Rows and the rows nearest to each, nearest first.

    Parameters
    ----------
    indptr : ndarray of shape (m + 1,), int
        Where the neighbours of each row begin and end.
    index : ndarray of shape (n_links,), int
        Number of the neighbour.
    distance : ndarray of shape (n_links,), float64
    n_rows : int
        Rows that may be neighbours.
    """

    indptr: NDArray
    index: NDArray
    distance: NDArray
    n_rows: int

    @classmethod
    def of(cls, index: NDArray, distance: NDArray, n_rows: int) -> NeighborGraph:
        """The same number of neighbours for every row, (m, n_neighbors)."""
        m, n_neighbors = index.shape
        indptr = np.arange(0, m * n_neighbors + 1, max(1, n_neighbors))[: m + 1]
        if n_neighbors == 0:
            indptr = np.zeros(m + 1, np.intp)
        return cls(indptr, index.ravel(), distance.ravel(), n_rows)

    @classmethod
    def of_distances(
        cls, distances: NDArray | sp.csr_array, n_neighbors: int, alone: bool
    ) -> NeighborGraph:
        """From distances to all rows, or in CSR from those that are known.

        Parameters
        ----------
        distances : {ndarray, CSR array} of shape (m, n_rows)
            What is not stored in CSR is unknown; a stored 0 is a distance.
        n_neighbors : int
        alone : bool
            Whether row i is row i, and not its own neighbour.
        """
        if isinstance(distances, np.ndarray):
            return cls._of_matrix(distances, n_neighbors, alone)
        counts = np.diff(distances.indptr)
        row, column = np.repeat(np.arange(len(counts)), counts), distances.indices
        value = distances.data
        if alone:
            other = row != column
            row, column, value = row[other], column[other], value[other]
        order = np.lexsort((column, value, row))
        row, column, value = row[order], column[order], value[order]
        starts = np.searchsorted(row, np.arange(len(counts)))
        near = np.arange(len(row)) - starts[row] < n_neighbors
        indptr = np.searchsorted(row[near], np.arange(len(counts) + 1))
        return cls(indptr, column[near], value[near], distances.shape[1])

    @classmethod
    def _of_matrix(
        cls, distances: NDArray, n_neighbors: int, alone: bool
    ) -> NeighborGraph:
        if alone:
            distances = distances.copy()
            np.fill_diagonal(distances, np.inf)
        n_rows = distances.shape[1]
        n_neighbors = min(n_neighbors, n_rows - alone)
        index = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
        return cls.of(index, np.take_along_axis(distances, index, axis=1), n_rows)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def row(self) -> NDArray:
        """The row of each link."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def nearest(self) -> NDArray:
        """Nearest neighbour of each row; itself where it has none."""
        nearest = np.arange(len(self))
        linked = np.flatnonzero(np.diff(self.indptr))
        nearest[linked] = self.index[self.indptr[linked]]
        return nearest

    def walk(self) -> sp.csr_array:
        r"""Probabilities of a step from each row to its neighbours, all the same.

        .. math::
            p_{ij} = 1 / K

        for the K neighbours j of row i.
        """
        counts = np.diff(self.indptr)
        weight = np.repeat(1.0 / np.maximum(counts, 1), counts)
        shape = len(self), self.n_rows
        return sp.csr_array((weight, self.index, self.indptr), shape=shape)

    def first(self, n_neighbors: int) -> NeighborGraph:
        """The nearest of the neighbours alone."""
        rank = np.arange(len(self.index)) - self.indptr[self.row]
        near = rank < n_neighbors
        ends = np.minimum(np.diff(self.indptr), n_neighbors).cumsum()
        indptr = np.concatenate([[0], ends])
        return NeighborGraph(indptr, self.index[near], self.distance[near], self.n_rows)

    def modularity(self, labels: NDArray, mass: NDArray) -> float:
        r"""Modularity of a partition of the rows.

        .. math::
            Q = \frac{1}{2 m} \sum_{ij} W_{ij} \mu_i \mu_j [c_i = c_j]
                - \sum_c \left( \frac{d_c}{2 m} \right)^2

        with W the links, 1 where one of two rows is a neighbour of the other,
        :math:`\mu` their masses, :math:`d_c` the sum of all links of cluster c and
        2m that of all.

        Parameters
        ----------
        labels : ndarray of shape (m,), int
        mass : ndarray of shape (m,)
        """
        links = self.links().tocoo()
        weight = mass[links.row] * mass[links.col]
        total = weight.sum()
        if total == 0:
            return 0.0
        inside = weight[labels[links.row] == labels[links.col]].sum() / total
        shares = np.bincount(labels[links.row], weight) / total
        return float(inside - np.square(shares).sum())

    def links(self) -> sp.csr_array:
        """Pairs of rows of which one is a neighbour of the other."""
        links = self.walk()
        links.data[:] = 1.0
        return links.maximum(links.T).tocsr()
