r"""Agglomeration along random walks: the two groups that lead most into each other.

The path integral of a group C under a random walk P is the discounted number of paths
between two of its rows that stay in it,

.. math::
    S_C = \frac{1}{|C|^2} \, 1^\top (I - z P_C)^{-1} \, 1 ,

and the affinity of two groups is by how much paths through the other one raise it:

.. math::
    A_{ab} = \left( S_{a \mid a \cup b} - S_a \right)
           + \left( S_{b \mid a \cup b} - S_b \right) .

With the small discount of its authors, z = 0.01, the shortest detours decide, there and
back again: all longer ones together add about z of it. What they leave, divided by
:math:`z^2`, is the degree linkage of the graph, whose sums merge with the groups:

.. math::
    A_{ab} = \frac{1^\top P_{ab} P_{ba} 1}{|a|^2} + \frac{1^\top P_{ba} P_{ab} 1}{|b|^2}

W. Zhang, D. Zhao and X. Wang, "Agglomerative clustering via maximum incremental path
integral", Pattern Recognition 46, 2013; W. Zhang, X. Wang, D. Zhao and X. Tang, "Graph
degree linkage: agglomerative clustering on a directed graph", ECCV 2012.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

#: A sparse vector over all rows: the rows, in order, and their values.
Vector = tuple[NDArray, NDArray]


def path_integral_linkage(
    walk: sp.csr_array, labels: NDArray, mass: NDArray | None = None
) -> NDArray:
    r"""Merge the two groups with the greatest affinity, until no two have any.

    Parameters
    ----------
    walk : CSR array of shape (n_samples, n_samples)
        Probabilities of a step from each row to others.
    labels : ndarray of shape (n_samples,), int
        First groups, 0..n_groups-1, none of them empty.
    mass : ndarray of shape (n_samples,), optional
        How often each row is there; once by default. Then :math:`1^\top` is the vector
        of masses of a group, and :math:`|C|` their sum.

    Returns
    -------
    merges : ndarray of shape (n_merges, 2), int
        The two groups of each merge, in order; merge m makes group n_groups + m.
    """
    groups = _Groups(walk, labels, np.ones(len(labels)) if mass is None else mass)
    queue = [entry for g in groups.members for entry in groups.affinities(g)]
    heapq.heapify(queue)
    merges = []
    while queue:
        _, a, b = heapq.heappop(queue)
        if a in groups.members and b in groups.members:
            merges.append((a, b))
            for entry in groups.affinities(groups.merge(a, b)):
                heapq.heappush(queue, entry)
    return np.array(merges, dtype=np.intp).reshape(-1, 2)


class _Groups:
    """Groups of rows, by number, with the sums that decide their affinities.

    ``steps_to[g]`` are the probabilities of a step from each row into group g,
    ``steps_from[g]`` those of the steps from its rows to each row, times their mass,
    and ``detours[a][b]`` is mᵀ P_ab P_ba 1: from a over a row of b and back.
    """

    def __init__(self, walk: sp.csr_array, labels: NDArray, mass: NDArray) -> None:
        rows = np.arange(len(labels))
        member = sp.csc_array((np.ones(len(labels)), (rows, labels)))
        heavy = sp.csc_array((mass, (rows, labels)))
        self.labels = labels.copy()
        self.members = {g: v[0] for g, v in enumerate(_columns(member))}
        self.sizes = dict(enumerate(np.bincount(labels, mass).tolist()))
        self.steps_to = dict(enumerate(_columns(walk @ member)))
        self.steps_from = dict(enumerate(_columns(walk.T @ heavy)))
        self.detours: dict[int, dict[int, float]] = {g: {} for g in self.members}
        self.created = len(self.members)
        for g in self.members:
            self._count_detours(g)

    def merge(self, a: int, b: int) -> int:
        """Replace two groups by one; its number."""
        merged = self.created
        self.created += 1
        rows = np.concatenate([self.members.pop(a), self.members.pop(b)])
        self.members[merged] = rows
        self.sizes[merged] = self.sizes.pop(a) + self.sizes.pop(b)
        self.labels[rows] = merged
        for steps in (self.steps_to, self.steps_from):
            steps[merged] = _sum(steps.pop(a), steps.pop(b))
        others = (self.detours.pop(a).keys() | self.detours.pop(b).keys()) - {a, b}
        self.detours[merged] = dict.fromkeys(others, 0.0)
        for other in others:
            over = self.detours[other]
            over[merged] = over.pop(a, 0.0) + over.pop(b, 0.0)
        self._count_detours(merged)
        return merged

    def affinities(self, g: int) -> Iterator[tuple[float, int, int]]:
        """Groups that lead to `g` and back: minus the affinity, their number, `g`."""
        size = self.sizes[g]
        for other, detours in self.detours[g].items():
            back = self.detours[other][g] / self.sizes[other] ** 2
            yield -(detours / size**2 + back), other, g

    def _count_detours(self, g: int) -> None:
        """Set the detours from `g` over rows of others."""
        to, back = self.steps_from[g], self.steps_to[g]
        rows, i, j = np.intersect1d(
            to[0], back[0], assume_unique=True, return_indices=True
        )
        over, group = np.unique(self.labels[rows], return_inverse=True)
        sums = np.bincount(group, to[1][i] * back[1][j])
        for other, detours in zip(over.tolist(), sums.tolist(), strict=True):
            if other != g:
                self.detours[g][other] = detours
                self.detours[other].setdefault(g, 0.0)


def _columns(matrix: sp.sparray) -> list[Vector]:
    matrix = sp.csc_array(matrix)
    matrix.sort_indices()
    ends = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return [(matrix.indices[i:j], matrix.data[i:j]) for i, j in ends]


def _sum(a: Vector, b: Vector) -> Vector:
    rows, place = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
    return rows, np.bincount(place, np.concatenate([a[1], b[1]]))
