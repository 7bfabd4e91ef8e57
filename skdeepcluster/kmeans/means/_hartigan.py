r"""Hartigan's exact moves of single points: what Lloyd's iteration cannot see.

A fixed point of Lloyd's iteration may still gain when a single point moves, since the
two means follow it. When a point of weight :math:`w` moves from cluster a to b, the
criterion changes by exactly

.. math::
    \Delta = \frac{m_b w}{m_b + w} \lVert x - c_b \rVert^2
           - \frac{m_a w}{m_a - w} \lVert x - c_a \rVert^2

with the masses :math:`m` and means :math:`c` from before; with unit weights the factors
are :math:`n_b / (n_b + 1)` and :math:`n_a / (n_a - 1)`. Where no Delta is negative, all
points are nearest to their own mean, not the other way round (Telgarsky and Vattani
2010, "Hartigan's method: k-means clustering without Voronoi", AISTATS).

Equal points move together, so that an integer weight is the same as so many copies.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans.means._partition import MeanPartition, Visitor, converge
from skdeepcluster.kmeans.means._ties import descending
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

# Points that are visited in one go: those that gain by a move now, and as many times
# more, which may gain once those have moved.
_VISITED_PER_GAINING = 4
_LEAST_VISITED = 512
_MOST_VISITED = 4096
# Visits go on while the last round gave this part of the gain before it.
_WORTH_A_ROUND = 0.1


def hartigan(
    partition: MeanPartition, max_iter: int, tol: float, tasks: Tasks = UNWATCHED
) -> None:
    """Alternate Lloyd's iteration and single moves until neither lowers the criterion.

    It is never worse than what `converge` alone makes of the same start.

    Parameters
    ----------
    partition : MeanPartition
        Changed in place.
    max_iter : int
        Most steps of Lloyd's iteration, those that `partition` has had counted; passes
        of single moves are not.
    tol : float
        Of Lloyd's iteration and of the moves, relative to the criterion.
    tasks : Tasks, optional
        Of an open start.
    """
    converge(partition, max_iter, tol, tasks)
    # Moves are followed by a step at least: labels belong to the means.
    while partition.n_iter < max_iter and not tasks.stopped:
        if not improve(partition, tol):
            break
        converge(partition, max_iter, tol, tasks)


def improve(partition: MeanPartition, tol: float) -> bool:
    """Move single points while that lowers the criterion.

    Points without weight do not move, and no cluster loses its last point.

    Parameters
    ----------
    partition : MeanPartition
        With labels. Changed in place, where that is an improvement.
    tol : float
        A pass of moves that lowers the criterion by at most `tol` times its value is
        the last, and is not made.

    Returns
    -------
    improved : bool
    """
    if partition.n_clusters < 2:
        return False
    improved = False
    while True:
        points = MovingPoints(partition)
        gain = points.settle(points.candidates())
        wanted = max(tol * abs(partition.criterion), partition.rounding)
        if not gain > wanted or not _take(partition, points.all_labels()):
            return improved
        improved = True


def _take(partition: MeanPartition, labels: Tensor) -> bool:
    """Take labels, unless rounding has misled."""
    before, criterion = partition.labels, partition.criterion
    partition.relabel(labels)
    if partition.criterion < criterion:
        partition.history.append(partition.criterion)
        return True
    partition.relabel(before)
    return False


class MovingPoints:
    """The distinct points of a partition, which move one at a time.

    Every visit takes the distances of one point from means that have followed all moves
    so far, so each move lowers the criterion by what it says.

    Parameters
    ----------
    partition : MeanPartition
        With labels; left as it is.
    """

    def __init__(self, partition: MeanPartition) -> None:
        self.partition = partition
        twins, weight = partition.points.twins, partition.points.weight.cpu()
        # The first of equal points stands for all of them, with their weight.
        self.weight = torch.zeros_like(weight).index_add_(0, twins, weight)  # (n,)
        self.labels = partition.labels.cpu().numpy().copy()  # (n,)
        self.masses = partition.masses.cpu().numpy().copy()  # (k,)
        heavy = (self.weight > 0).numpy()
        self.counts = np.bincount(self.labels[heavy], minlength=partition.n_clusters)

    def gains(self) -> Tensor:
        """What the best move of each point gains, (n,); -inf for those that stay."""
        partition = self.partition
        device = partition.labels.device
        alone = torch.from_numpy(self.counts <= 1)[partition.labels.cpu()]
        stays = (alone | (self.weight == 0)).to(device)
        weight = self.weight.to(device)
        gains = torch.empty(len(stays), dtype=torch.float64, device=device)
        for rows, distances in partition.distance_blocks():
            own = partition.labels[rows, None]
            masses, w = partition.masses, weight[rows, None]
            gains[rows] = _best_gains(distances, own, masses, w)
        stays |= gains.isnan()
        return gains.masked_fill_(stays, -torch.inf).cpu()

    def candidates(self) -> Tensor:
        """Points worth a visit, the most promising first; none where none gains."""
        gains = self.gains()
        # A gain is a difference: both parts may be wrong.
        error = 2 * self.weight * self.partition.error_of(gains.clamp(min=0)).cpu()
        n_gaining = int((gains > error).sum())
        wanted = max(_VISITED_PER_GAINING * n_gaining, _LEAST_VISITED)
        n_visited = min(wanted, _MOST_VISITED) if n_gaining else 0
        index = (gains > -torch.inf).nonzero().squeeze(1)
        rank = self.partition.points.rank[index]
        return index[descending(gains[index], error[index], rank)[:n_visited]]

    def settle(self, index: Tensor) -> float:
        """Visit points, (m,), in rounds, while that gains; returns the gain."""
        means = self.partition.visitor(index, self.masses)
        weights = self.weight[index].tolist()
        visits = list(zip(index.tolist(), weights, strict=True))
        total, gain = 0.0, np.inf
        while gain > _WORTH_A_ROUND * total:
            gain = 0.0
            for at, (point, weight) in enumerate(visits):
                gain += self._visit(means, at, point, weight)
            total += gain
        return total

    def all_labels(self) -> Tensor:
        """Labels of all points, (n,): equal ones have that of the first."""
        labels = torch.from_numpy(self.labels)[self.partition.points.twins]
        return labels.to(self.partition.labels.device)

    def _visit(self, means: Visitor, at: int, point: int, weight: float) -> float:
        """Move a point where that is a gain; returns the gain."""
        origin, masses = self.labels[point], self.masses
        rest = masses[origin] - weight
        if self.counts[origin] == 1 or not rest > 0:
            return 0.0
        distances = means.distances(at)
        added = masses * weight / (masses + weight) * distances
        added[origin] = np.inf
        removed = masses[origin] * weight / rest * distances[origin]
        wrong = means.error_of(at, float(distances[origin]))
        error = weight * (masses[origin] / rest + 1) * wrong
        target = int((added <= added.min() + error).argmax())
        gain = float(removed - added[target])
        if not gain > error:
            return 0.0
        means.move(at, weight, origin, target)
        masses[origin] = rest
        masses[target] += weight
        self.counts[origin] -= 1
        self.counts[target] += 1
        self.labels[point] = target
        return gain


def _best_gains(
    distances: Tensor, own: Tensor, masses: Tensor, weight: Tensor
) -> Tensor:
    """What the best move of each point of a block gains, (b,)."""
    added = masses * weight / (masses + weight) * distances  # (b, k)
    added.scatter_(1, own, torch.inf)
    removed = masses[own] * weight / (masses[own] - weight) * distances.gather(1, own)
    return removed[:, 0] - added.amin(1)
