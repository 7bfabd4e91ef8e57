r"""Spherical k-means: Lloyd's iteration for the cosine.

.. math::
    \Phi = \sum_i w_i (1 - \cos(x_i, c_{l_i}))
         = \sum_i w_i - \sum_j \lVert s_j \rVert, \qquad
    s_j = \sum_{i : l_i = j} w_i \frac{x_i}{\lVert x_i \rVert}

The second form holds where every centre has the direction of its cluster's sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import CANCELLED, fixed_order_sum
from skdeepcluster.kmeans.cosine._assignment import (
    nearest_by_cosine,
    own_cosine_distances,
)
from skdeepcluster.kmeans.cosine._seeding import NARROW, SAME_DIRECTION
from skdeepcluster.kmeans.matrices import Centers, Matrix, cancelled
from skdeepcluster.utils._reduce import Reduce, identity
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

# Of more changed rows all sums are taken anew: that reads the rows in order.
_FEW_CHANGED = 0.25
# Length of a direction that stands for a sum of zero; its square is not zero.
_NO_SUM = 1e-150

# Labels and products of all rows, from the centres and those of the step before.
Assign = Callable[[Centers], tuple[Tensor, Tensor]]


@dataclass(eq=False)
class Partition:
    """State of spherical k-means between two steps.

    Attributes
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    weight : Tensor of shape (n,), float64
        Sample weights; zero for rows that have no direction.
    centers : DenseCenters or SparseCenters
    labels : Tensor of shape (n,), int64
        -1 before the first step.
    criterion : float
        Phi of `centers`, as far as the labels are theirs; infinite before.
    n_iter : int
    """

    matrix: Matrix
    weight: Tensor
    centers: Centers
    labels: Tensor = field(init=False)
    criterion: float = torch.inf
    n_iter: int = 0
    reduce: Reduce = identity
    _recompute: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        self.labels = torch.full((len(self.matrix),), -1, dtype=torch.int64)
        norms = self.matrix.norms
        self.weight = torch.where(norms > 0, self.weight, 0.0)
        # What a row is multiplied by in the sums.
        self.scale = torch.where(self.weight > 0, self.weight / norms, 0.0)
        self.total = float(self.reduce(fixed_order_sum(self.weight)))

    def relabel(self, labels: Tensor, products: Tensor) -> int:
        """Take new labels and move the centres; returns how many labels changed.

        `products` are those of the rows with their nearest centres: a cluster that
        loses all its rows takes the row that is farthest from its own centre.
        """
        empty = (self._counts(labels) == 0).nonzero().squeeze(1).tolist()
        if empty:
            labels = self._refill(labels, products, empty)
        changed = (labels != self.labels).nonzero().squeeze(1)
        n_changed = int(self.reduce(torch.tensor(float(len(changed)))))
        if n_changed:
            self._move(changed, labels)
        self.labels = labels
        self.criterion = self._within()
        return n_changed

    def _within(self) -> float:
        """Phi of labels and centres, as far as they belong together."""
        within = self.total - float(fixed_order_sum(self.centers.norms))
        if within > CANCELLED * self.total:
            return within
        distances = own_cosine_distances(self.matrix, self.labels, self.centers)
        return float(self.reduce(fixed_order_sum(distances * self.weight)))

    def _move(self, changed: Tensor, labels: Tensor) -> None:
        few = len(changed) <= _FEW_CHANGED * len(labels)
        alone = self.reduce is identity and self.matrix.own is self.matrix
        if few and alone and not self._recompute:
            self.centers = self.centers.moved(
                self.matrix,
                changed,
                self.labels[changed],
                labels[changed],
                self.scale[changed],
            )
        else:
            self.centers = self.centers.recomputed(
                self.matrix, labels, self.scale, self.reduce
            )
        self._recompute = False
        self._direct_cancelled(labels)

    def _counts(self, labels: Tensor) -> Tensor:
        weighted = (self.weight > 0).to(torch.float64)
        counts = torch.bincount(labels, weighted, minlength=len(self.centers))
        return self.reduce(counts)

    def _refill(self, labels: Tensor, products: Tensor, empty: list[int]) -> Tensor:
        """Give the farthest rows, with all of their direction, to the empty clusters.

        A cluster of one direction gives none: it would only trade places with the empty
        one, for ever, where there are fewer directions than clusters.
        """
        heavy = self.weight > 0
        cosines, same = self._own_cosines(labels, products)
        labels = labels.clone()
        while empty and float(cosines.min()) < 1 - same:
            farthest = self._first_of(cosines <= cosines.min() + same)
            donors = (heavy & (labels == labels[farthest])).nonzero().squeeze(1)
            twins = donors[self._cosines_with(farthest, donors) >= 1 - same]
            cosines[twins] = cosines[farthest] = torch.inf
            if len(twins) < len(donors):
                labels[twins] = empty[0]
                empty = empty[1:]
        return labels

    def _own_cosines(self, labels: Tensor, products: Tensor) -> tuple[Tensor, float]:
        """Cosines of rows with their centres, and how much rounding makes them differ.

        Infinite for rows without weight.
        """
        light = self.weight == 0
        cosines = products.to(torch.float64) / self.matrix.norms
        cosines[light] = torch.inf
        if float(cosines.min()) < 1 - NARROW:
            return cosines, SAME_DIRECTION[torch.float32]
        every = torch.arange(len(labels))
        products = self.matrix.exact_products(every, labels, self.centers)
        cosines = (products / self.matrix.norms).masked_fill_(light, torch.inf)
        return cosines, SAME_DIRECTION[torch.float64]

    def _first_of(self, ties: Tensor) -> int:
        """One of several rows, whatever their order in the data."""
        rows = ties.nonzero().squeeze(1)
        if len(rows) == 1:
            return int(rows[0])
        generator = torch.Generator().manual_seed(0)
        axis = torch.randn(
            1, self.matrix.shape[1], dtype=torch.float64, generator=generator
        )
        centers = self.matrix.centers_type(axis)
        keys = self.matrix.exact_products(rows, torch.zeros_like(rows), centers)
        return int(rows[(keys / self.matrix.norms[rows]).argmin()])

    def _cosines_with(self, row: int, others: Tensor) -> Tensor:
        direction = self.matrix.gather(torch.tensor([row])) / self.matrix.norms[row]
        center = self.matrix.centers_type(direction)
        products = self.matrix.exact_products(others, torch.zeros_like(others), center)
        return products / self.matrix.norms[others]

    def _direct_cancelled(self, labels: Tensor) -> None:
        """Point clusters without a sum at their first row, empty ones anywhere."""
        weights = torch.bincount(labels, self.weight, minlength=len(self.centers))
        for j in cancelled(self.centers.norms, self.reduce(weights)):
            rows = ((labels == j) & (self.weight > 0)).nonzero()
            first = rows[0] if len(rows) else (self.weight > 0).nonzero()[0]
            direction = self.matrix.gather(first)[0] / self.matrix.norms[first]
            self.centers = self.centers.with_direction(j, direction * _NO_SUM)
            self._recompute = True


def lloyd_step(matrix: Matrix) -> Assign:
    """Assignment that compares every row with every centre."""
    return lambda centers: nearest_by_cosine(matrix, centers)


def converge(
    partition: Partition,
    assign: Assign,
    max_iter: int,
    tol: float,
    tasks: Tasks = UNWATCHED,
) -> Partition:
    """Run spherical k-means to its fixed point.

    It ends when no label changes, when the criterion falls by at most `tol` times its
    value, or when a callback asks for it.

    Parameters
    ----------
    partition : Partition
        Changed in place.
    assign : callable
    max_iter : int
        Most steps, those that `partition` has had counted.
    tol : float
    tasks : Tasks, optional
        Of an open start.

    Returns
    -------
    partition : Partition
    """
    while partition.n_iter < max_iter and not tasks.stopped:
        before = partition.criterion
        partition.n_iter += 1
        tasks.iteration_begins()
        n_changed = partition.relabel(*assign(partition.centers))
        tasks.iteration_ends(partition)
        if not n_changed or before - partition.criterion <= tol * partition.criterion:
            break
    return partition
