"""K-means of vectors, for `MeanPartition`: centres that are means of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans._assignment import MEAN_ERROR
from skdeepcluster.kmeans._rows import fixed_order_sum
from skdeepcluster.kmeans.means._content import content_rank
from skdeepcluster.kmeans.means._euclidean_rows import DenseRows, Frame, SparseRows
from skdeepcluster.kmeans.means._partition import MeanPartition


class EuclideanPoints:
    """Rows with their weights, and what all starts need to know of them once.

    Parameters
    ----------
    rows : DenseRows or SparseRows of shape (n, d)
    weight : Tensor of shape (n,), float64
        Sample weights, at least one of them above 0.
    """

    def __init__(self, rows: DenseRows | SparseRows, weight: Tensor) -> None:
        self.rows = rows
        self.device = rows.device
        self.weight = weight.to(rows.device)
        # Multiplying by ones costs as much as summing.
        self.summed_weight = None if bool((weight == 1).all()) else self.weight
        together = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        sums, masses = rows.sums(together, 1, self.summed_weight)
        self.mean = sums / masses  # (1, d)
        self.squares = rows.own_distances(self.mean, together)  # (n,)
        self.scatter = float(fixed_order_sum(self.squares * self.weight))

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def twins(self) -> Tensor:
        """Index of the first row equal to each, (n,), on the host."""
        return self.rows.twins()

    @cached_property
    def rank(self) -> Tensor:
        """Place of each row in an order by what it holds, (n,), on the host."""
        return content_rank(self.rows.x)

    @cached_property
    def lengths(self) -> Tensor:
        """Squares of the rows, (n,)."""
        origin = torch.zeros(1, self.rows.shape[1], dtype=torch.float64)
        together = torch.zeros(len(self), dtype=torch.int64, device=self.device)
        return self.rows.own_distances(origin.to(self.device), together)

    def seeding_order(self, generator: torch.Generator) -> Tensor:
        """Rows by their products with one random direction, (n,)."""
        width = self.rows.shape[1]
        direction = torch.randn(width, dtype=torch.float64, generator=generator)
        keys = self.rows.keys(direction)
        order = keys.argsort(stable=True)
        if not bool((keys[order].diff() == 0).any()):
            return order
        # Also rows of which the direction sees no difference.
        by_content = self.rank.argsort().to(self.device)
        return by_content[keys[by_content].argsort(stable=True)]

    def distances_to(self, point: int) -> Tensor:
        """Squared distances to a row, (n,)."""
        return self.rows.distances_to(point)

    def potentials(self, candidates: Tensor, closest: Tensor) -> Tensor:
        """Weighted sums of the smaller of `closest` and distances to rows, (t,)."""
        return self.rows.potentials(candidates, closest, self.weight)

    def means(self, labels: Tensor, n_clusters: int) -> Tensor:
        """Means of the rows by label, (k, d); zero for a cluster without weight."""
        sums, masses = self.rows.sums(labels, n_clusters, self.summed_weight)
        return torch.where(masses[:, None] > 0, sums / masses[:, None], 0.0)


class EuclideanPartition(MeanPartition):
    """Partition of rows, with its centres.

    Parameters
    ----------
    points : EuclideanPoints
    centers : Tensor of shape (k, d), float64
        Where to start. A cluster that never gets a row keeps its centre.

    Attributes
    ----------
    binary_gap : float
        How far the memberships were from 0 and 1 before they became `labels`.
    """

    points: EuclideanPoints

    def __init__(self, points: EuclideanPoints, centers: Tensor) -> None:
        super().__init__(points, len(centers))
        self.centers = centers.to(points.device)
        self.binary_gap = 0.0

    def nearest(self) -> Tensor:
        """Nearest centre of every row, (n,)."""
        return self.points.rows.nearest(self.centers)

    def distance_blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices with the squared distances to all centres, (b, k), rounded."""
        points, moved = self.points, self.centers - self.points.mean
        norms = moved.square().sum(1)
        for rows, products in points.rows.products(moved, Frame(points.mean[0])):
            distances = products.mul_(-2).add_(norms).add_(points.squares[rows, None])
            yield rows, distances.clamp_(min=0)

    def visitor(self, index: Tensor, masses: np.ndarray) -> RowVisitor:
        """Centres that follow the rows `index`, (m,)."""
        rows = self.points.rows
        if isinstance(rows, SparseRows):
            return SparseRowVisitor(rows, self.centers, index, masses)
        return DenseRowVisitor(rows, self.centers, index, masses)

    def state(self) -> Tensor:
        """The centres."""
        return self.centers

    def error_of(self, distances: Tensor) -> Tensor:
        """What rounding may have made of squared distances of the rows, (n,)."""
        return _error(self.points.lengths, distances)

    def _own_distances(self, labels: Tensor) -> Tensor:
        return self.points.rows.own_distances(self.centers, labels)

    def _take_means(self, before: Tensor) -> None:
        points, masses = self.points, self.masses[:, None]
        sums, _ = points.rows.sums(self.labels, self.n_clusters, points.summed_weight)
        # With no row left to give, a centre stays where it was.
        self.centers = torch.where(masses > 0, sums / masses, self.centers)

    def _between(self) -> float:
        # Seen from the mean, so that data far from the origin cost no digits.
        seen = self.centers - self.points.mean
        return min(float(seen.square().sum(1) @ self.masses), self.points.scatter)


def _error(square: Any, distance: Any) -> Any:
    """What rounding may have made of a squared distance to a centre.

    Centres are rounded, by a part of their length, which is at most that of the row and
    the distance together.
    """
    moved = MEAN_ERROR * (square**0.5 + distance**0.5)
    return moved * (2 * distance**0.5 + moved)


class DenseRowVisitor:
    """Centres that follow single dense rows, by differences."""

    def __init__(
        self,
        rows: DenseRows,
        centers: Tensor,
        index: Tensor,
        masses: np.ndarray,
    ) -> None:
        self.x = rows.gather(index).cpu().numpy()  # (m, d)
        self.lengths = np.einsum("nd,nd->n", self.x, self.x)
        self.centers = centers.cpu().numpy().copy()  # (k, d)
        self.masses = masses

    def distances(self, at: int) -> np.ndarray:
        """Squared distances of a visited row to the centres, (k,)."""
        differences = self.centers - self.x[at]
        return np.einsum("kd,kd->k", differences, differences)

    def error_of(self, at: int, distance: float) -> float:
        """What rounding may have made of a squared distance of a visited row."""
        return float(_error(self.lengths[at], distance))

    def move(self, at: int, weight: float, origin: int, target: int) -> None:
        """Move a visited row, the centres with it, before the masses are."""
        for j, signed in ((origin, -weight), (target, weight)):
            share = signed / (self.masses[j] + signed)
            self.centers[j] += share * (self.x[at] - self.centers[j])


class SparseRowVisitor:
    """Sums that follow single sparse rows: only stored entries are touched."""

    def __init__(
        self,
        rows: SparseRows,
        centers: Tensor,
        index: Tensor,
        masses: np.ndarray,
    ) -> None:
        self.x = rows.x[index.numpy()].astype(np.float64)
        self.masses = masses
        self.sums = (centers.numpy() * masses[:, None]).T.copy()  # (d, k)
        self.norms = np.square(self.sums).sum(0)  # (k,)
        self.lengths = np.asarray(self.x.multiply(self.x).sum(1)).ravel()

    def distances(self, at: int) -> np.ndarray:
        """Squared distances of a visited row to the centres, (k,)."""
        columns, values = self._entries(at)
        products = values @ self.sums[columns]
        masses = np.where(self.masses > 0, self.masses, 1.0)
        distances = (self.norms / masses - 2 * products) / masses + values @ values
        return distances.clip(0)

    def error_of(self, at: int, distance: float) -> float:
        """What rounding may have made of a squared distance of a visited row."""
        # Of differences of squares, not of a square of differences.
        return 2 * MEAN_ERROR * (float(self.lengths[at]) + distance)

    def move(self, at: int, weight: float, origin: int, target: int) -> None:
        """Move a visited row, the sums with it."""
        columns, values = self._entries(at)
        for j, signed in ((origin, -weight), (target, weight)):
            product = values @ self.sums[columns, j]
            self.norms[j] += signed * (2 * product + signed * (values @ values))
            self.sums[columns, j] += signed * values

    def _entries(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(self.x.indptr[at], self.x.indptr[at + 1])
        return self.x.indices[part], self.x.data[part]


RowVisitor = DenseRowVisitor | SparseRowVisitor
