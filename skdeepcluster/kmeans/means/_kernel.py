r"""Kernel k-means: means that are known through a kernel alone.

With :math:`K_{ij} = \phi(x_i) \cdot \phi(x_j)` the squared distance of a point to the
mean of a cluster C of mass m is

.. math::
    K_{ii} - \frac{2}{m} \sum_{j \in C} w_j K_{ij}
           + \frac{1}{m^2} \sum_{j, l \in C} w_j w_l K_{jl} .
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans._assignment import first_nearest
from skdeepcluster.kmeans._rows import (
    fixed_order_sum,
    row_blocks,
    summation_error,
)
from skdeepcluster.kmeans.means._hartigan import hartigan
from skdeepcluster.kmeans.means._partition import MeanPartition, best_start, converge
from skdeepcluster.kmeans.means._symmetry import kernel_rank
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

KERNEL_SOLVERS = ("lloyd", "hartigan")


class KernelPoints:
    """Points of which only the products with each other are known.

    Parameters
    ----------
    kernel : Tensor of shape (n, n), float32 or float64
        Symmetric, on the device that computes.
    weight : Tensor of shape (n,), float64
        Sample weights, at least one of them above 0.
    twins : Tensor of shape (n,), int64
        Index of the first point that is equal to each, on the host.
    content : Tensor of shape (n,), int64, default=None
        Place in an order by what the points hold, on the host, where that is known.
    """

    def __init__(
        self,
        kernel: Tensor,
        weight: Tensor,
        twins: Tensor,
        content: Tensor | None = None,
    ) -> None:
        self.kernel = kernel
        self.device = kernel.device
        self.weight = weight.to(kernel.device)
        self.twins = twins
        self.squares = kernel.diagonal().to(torch.float64)  # (n,)
        self.scatter = float(fixed_order_sum(self.squares * self.weight))
        self.error = summation_error(len(kernel))
        self.rank = kernel_rank(kernel, self.weight, twins, content)

    def __len__(self) -> int:
        return len(self.kernel)

    def seeding_order(self, generator: torch.Generator) -> Tensor:
        """Points in the order of their rank, (n,)."""
        return self.rank.argsort().to(self.device)

    def sums(self, weighted: Tensor) -> Tensor:
        """Weighted sums of products with all points, (n, c), for weights (n, c)."""
        if self.kernel.dtype == torch.float64:
            return self.kernel @ weighted
        n = len(self.kernel)
        blocks = row_blocks(n, n, self.device)
        parts = [self.kernel[rows].to(torch.float64) @ weighted for rows in blocks]
        return torch.cat(parts)

    def distances_to(self, point: int) -> Tensor:
        """Squared distances to a point, (n,); exactly 0 for its copies."""
        twins = self.twins.to(self.device)
        distances = self._distances(torch.tensor([point]))[:, 0]
        return distances.masked_fill_(twins == twins[point], 0.0)

    def potentials(self, candidates: Tensor, closest: Tensor) -> Tensor:
        """Weighted sums of the smaller of `closest` and distances to points, (t,)."""
        distances = self._distances(candidates).minimum(closest[:, None])
        return self.weight @ distances

    def nearest_of(self, chosen: Tensor) -> Tensor:
        """Nearest of the chosen points, (k,), for each point; the first of several."""
        return first_nearest(self._distances(chosen), self._error(chosen))

    def _distances(self, index: Tensor) -> Tensor:
        """Squared distances to points, (n, t); 0 where rounding leaves nothing else."""
        index = index.to(self.device)
        products = self.kernel[:, index].to(torch.float64)
        distances = self.squares[:, None] + self.squares[index] - 2 * products
        return distances.masked_fill_(distances <= self._error(index), 0.0)

    def _error(self, index: Tensor) -> Tensor:
        index = index.to(self.device)
        return self.error * (self.squares[:, None] + self.squares[index]).abs()


class KernelPartition(MeanPartition):
    """Partition of points that are known through a kernel.

    Parameters
    ----------
    points : KernelPoints
    n_clusters : int

    Attributes
    ----------
    sums : Tensor of shape (k, n), float64
        Products of the clusters' weighted sums with all points.
    norms : Tensor of shape (k,), float64
        Squared norms of the clusters' means.
    """

    points: KernelPoints

    def __init__(self, points: KernelPoints, n_clusters: int) -> None:
        super().__init__(points, n_clusters)
        self.sums = points.squares.new_zeros(n_clusters, len(points))
        self.norms = points.squares.new_zeros(n_clusters)

    def nearest(self) -> Tensor:
        """Nearest mean of every point, (n,); a cluster without points has none."""
        distances = self._distances(torch.inf)
        sizes = self.points.squares + self.norms[:, None]
        return first_nearest(distances.T, self.points.error * sizes.abs().T)

    def distance_blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """All points with their squared distances to all means, (n, k)."""
        yield slice(0, len(self.points)), self._distances(0.0).T

    def visitor(self, index: Tensor, masses: np.ndarray) -> KernelVisitor:
        """Means that follow the points `index`, (m,)."""
        return KernelVisitor(self, index, masses)

    def state(self) -> tuple[Tensor, Tensor]:
        """Labels and squared norms, which determine the means."""
        return self.labels, self.norms

    def error_of(self, distances: Tensor) -> Tensor:
        """What rounding may have made of squared distances of the points, (n,)."""
        return _error(self.points.error, self.points.squares, distances)

    def _own_distances(self, labels: Tensor) -> Tensor:
        return self._distances(0.0).gather(0, labels[None])[0]

    def _distances(self, empty: float) -> Tensor:
        """Squared distances to the means, (k, n); `empty` where there is none."""
        masses = self.masses[:, None]
        distances = self.sums / masses * -2 + self.norms[:, None] + self.points.squares
        return torch.where(masses > 0, distances.clamp_(min=0), empty)

    def _take_means(self, before: Tensor) -> None:
        """Take the sums of the clusters anew that have gained or lost a point."""
        points, changed = self.points, self.labels != before
        moved = torch.cat([self.labels[changed], before[changed]]).unique()
        moved = moved[moved >= 0]
        members = self.labels[:, None] == moved  # (n, c)
        weighted = torch.where(members, points.weight[:, None], 0.0)
        self.sums[moved] = points.sums(weighted).T
        squares = (self.sums[moved] * weighted.T).sum(1)
        masses = self.masses[moved]
        self.norms[moved] = torch.where(masses > 0, squares / masses.square(), 0.0)

    def _between(self) -> float:
        return float(self.norms @ self.masses)


class KernelVisitor:
    """Sums that follow single points."""

    def __init__(
        self, partition: KernelPartition, index: Tensor, masses: np.ndarray
    ) -> None:
        self.points = partition.points
        self.index = index.tolist()
        self.masses = masses
        self.squares = partition.points.squares.cpu().numpy()  # (n,)
        self.sums = partition.sums.cpu().numpy().copy()  # (k, n)
        self.norms = partition.norms.cpu().numpy() * np.square(masses)  # of the sums

    def distances(self, at: int) -> np.ndarray:
        """Squared distances of a visited point to the means, (k,)."""
        point = self.index[at]
        masses = np.where(self.masses > 0, self.masses, 1.0)
        reduced = (self.norms / masses - 2 * self.sums[:, point]) / masses
        return (reduced + self.squares[point]).clip(0)

    def error_of(self, at: int, distance: float) -> float:
        """What rounding may have made of a squared distance of a visited point."""
        return _error(self.points.error, self.squares[self.index[at]], distance)

    def move(self, at: int, weight: float, origin: int, target: int) -> None:
        """Move a visited point, the sums with it."""
        point = self.index[at]
        products = self.points.kernel[point].to(torch.float64).cpu().numpy()
        for j, signed in ((origin, -weight), (target, weight)):
            change = 2 * self.sums[j, point] + signed * self.squares[point]
            self.norms[j] += signed * change
            self.sums[j] += signed * products


def _error(relative: float, square: Any, distance: Any) -> Any:
    """What rounding may have made of a squared distance to a mean.

    The square of the mean is at most twice the sum of that of the point and this one.
    """
    return 4 * relative * (abs(square) + abs(distance))


def kernel_kmeans(
    points: KernelPoints,
    start: Callable[[], Tensor],
    n_clusters: int,
    *,
    solver: str = "hartigan",
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-8,
    tasks: Tasks = UNWATCHED,
) -> KernelPartition:
    """Run kernel k-means from several starts; returns the best partition.

    Parameters
    ----------
    points : KernelPoints
        n of them.
    start : callable
        Gives the labels of each start, (n,), int64.
    n_clusters : int
    solver : {"lloyd", "hartigan"}, default="hartigan"
    n_init : int, default=1
    max_iter : int, default=300
        Most steps of one start.
    tol : float, default=1e-8
        A start ends when the criterion falls by less, relatively.
    tasks : Tasks, optional

    Returns
    -------
    partition : KernelPartition
    """

    def run() -> KernelPartition:
        found = KernelPartition(points, n_clusters)
        found.relabel(start().to(points.device))
        (hartigan if solver == "hartigan" else converge)(found, max_iter, tol, tasks)
        return found

    return best_start(run, n_init, tasks)
