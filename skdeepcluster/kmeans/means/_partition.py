r"""Partitions with their means, in whatever space, and Lloyd's iteration on them.

.. math::
    J = \sum_i w_i \lVert x_i - c_{l_i} \rVert^2, \qquad
    c_j = \frac{1}{m_j} \sum_{i : l_i = j} w_i x_i, \qquad
    m_j = \sum_{i : l_i = j} w_i

Means that are vectors (`EuclideanPartition`) and means that are known through a kernel
alone (`KernelPartition`) answer the same few questions, so that every algorithm is
written once.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import CANCELLED, fixed_order_sum
from skdeepcluster.kmeans.means._ties import first_largest
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

_LOGGER = logging.getLogger("skdeepcluster")

# Starts whose criteria differ by rounding are equally good: the first is taken.
_SAME_CRITERION = 1e-9
# Changes of a criterion below this part of it may be rounding.
_ROUNDING = 1e-12
# Part of that which sums of the same terms in another order may differ by.
_SUMMED = 1e-2


class Points(Protocol):
    """What is partitioned; see `EuclideanPoints` and `KernelPoints`."""

    device: torch.device
    weight: Tensor
    scatter: float

    def __len__(self) -> int: ...

    @property
    def twins(self) -> Tensor:
        """Index of the first point equal to each, (n,), int64, on the host."""

    @property
    def rank(self) -> Tensor:
        """Place in an order by what points are, (n,), int64, on the host."""

    def seeding_order(self, generator: torch.Generator) -> Tensor:
        """Points by what they are, (n,); equal ones follow each other."""

    def distances_to(self, point: int) -> Tensor:
        """Squared distances to a point, (n,), float64; exactly 0 for its copies."""

    def potentials(self, candidates: Tensor, closest: Tensor) -> Tensor:
        """Weighted sums of the smaller of `closest` and distances to each, (t,)."""


class Visitor(Protocol):
    """Means that follow single points; see `hartigan`. All on the host."""

    def error_of(self, at: int, distance: float) -> float:
        """What rounding may have made of a squared distance of a visited point."""

    def distances(self, at: int) -> Any:
        """Squared distances of a visited point to the means, (k,)."""

    def move(self, at: int, weight: float, origin: int, target: int) -> None:
        """Move a visited point, the means with it, before the masses are."""


class MeanPartition(ABC):
    """State of k-means between two steps.

    Parameters
    ----------
    points : Points
        n of them.
    n_clusters : int

    Attributes
    ----------
    labels : Tensor of shape (n,), int64
        -1 before the first step.
    masses : Tensor of shape (k,), float64
        Weights of the clusters.
    criterion : float
        J of the labels and their means; infinite before the first step.
    history : list of float
        J after every step.
    n_iter : int
    """

    def __init__(self, points: Any, n_clusters: int) -> None:
        self.points = points
        self.n_clusters = n_clusters
        self.labels = torch.full((len(points),), -1, device=points.device)
        self.masses = torch.zeros(n_clusters, dtype=torch.float64, device=points.device)
        self.criterion = torch.inf
        self.history: list[float] = []
        self.n_iter = 0

    @abstractmethod
    def nearest(self) -> Tensor:
        """Nearest mean of every point, (n,), the first of several."""

    @abstractmethod
    def distance_blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices with the squared distances to all means, (b, k), rounded."""

    @abstractmethod
    def visitor(self, index: Tensor, masses: Any) -> Visitor:
        """Means that follow the points `index`, (m,), and share `masses`."""

    @abstractmethod
    def _own_distances(self, labels: Tensor) -> Tensor:
        """Squared distances to the means of these labels, (n,)."""

    @abstractmethod
    def error_of(self, distances: Tensor) -> Tensor:
        """What rounding may have made of squared distances of the points, (n,)."""

    @abstractmethod
    def _take_means(self, before: Tensor) -> None:
        """Move the means to those of `labels` and `masses`; `before` were others."""

    @abstractmethod
    def _between(self) -> float:
        """What the means take from the scatter of the points to leave J."""

    @abstractmethod
    def state(self) -> Any:
        """The means, as callbacks are told of them."""

    @property
    def rounding(self) -> float:
        """Changes of the criterion below may be rounding."""
        from_scatter = not self._is_cancelled(self.criterion)
        return _ROUNDING * abs(self.points.scatter if from_scatter else self.criterion)

    @property
    def margin(self) -> float:
        """Criteria of other starts that are lower by less are as good."""
        relative = _SAME_CRITERION * abs(self.criterion)
        return max(relative, _SUMMED * self.rounding)

    def _within(self) -> float:
        """J of labels and means."""
        # No pass over the points is needed, unless most digits have cancelled, as where
        # one point lies so far away that the scatter is all its own.
        within = float(self.points.scatter - self._between())
        if not self._is_cancelled(within):
            return within
        distances = self._own_distances(self.labels)
        return float(fixed_order_sum(distances * self.points.weight))

    def _is_cancelled(self, criterion: float) -> bool:
        return abs(criterion) <= CANCELLED * abs(self.points.scatter)

    def relabel(self, labels: Tensor) -> int:
        """Take new labels and their means; returns how many labels changed.

        A cluster without weight takes the point farthest from its own mean.
        """
        empty = (self._masses_of(labels) == 0).nonzero().squeeze(1).tolist()
        if empty:
            labels = self._refilled(labels, empty)
        n_changed = int((labels != self.labels).sum())
        if n_changed:
            before, self.labels = self.labels, labels
            self.masses = self._masses_of(labels)
            self._take_means(before)
            self.criterion = self._within()
        return n_changed

    def _masses_of(self, labels: Tensor) -> Tensor:
        return torch.bincount(labels, self.points.weight, minlength=self.n_clusters)

    def _refilled(self, labels: Tensor, empty: list[int]) -> Tensor:
        """Give the farthest points, with all their copies, to the empty clusters.

        A cluster of equal points gives none: it would only trade places with the empty
        one, for ever, where fewer points differ than there are clusters.
        """
        heavy = self.points.weight > 0
        distances = self._own_distances(labels) * heavy
        error = self.error_of(distances)
        distances[distances <= error] = 0
        labels, twins = labels.clone(), self.points.twins.to(labels.device)
        while empty and bool(distances.any()):
            wrong = error * (distances > 0)
            farthest = first_largest(distances, wrong, self.points.rank)
            copies = twins == twins[farthest]
            distances[copies] = 0
            if bool((heavy & (labels == labels[farthest]) & ~copies).any()):
                labels[copies] = empty[0]
                empty = empty[1:]
        return labels


_Partition = TypeVar("_Partition", bound=MeanPartition)


def converge(
    partition: MeanPartition, max_iter: int, tol: float, tasks: Tasks = UNWATCHED
) -> None:
    """Run Lloyd's iteration to its fixed point.

    It ends when no label changes, when the criterion falls by at most `tol` times its
    value, or when a callback asks for it.

    Parameters
    ----------
    partition : MeanPartition
        Changed in place.
    max_iter : int
        Most steps, those that `partition` has had counted.
    tol : float
    tasks : Tasks, optional
        Of an open start.
    """
    while partition.n_iter < max_iter and not tasks.stopped:
        before = partition.criterion
        partition.n_iter += 1
        tasks.iteration_begins()
        n_changed = partition.relabel(partition.nearest())
        partition.history.append(partition.criterion)
        tasks.iteration_ends(partition.state())
        fall = before - partition.criterion
        if not n_changed or fall <= tol * abs(partition.criterion):
            break


def best_start(
    run: Callable[[], _Partition], n_init: int, tasks: Tasks = UNWATCHED
) -> _Partition:
    """Run several starts; returns the one of the lowest criterion, the first of equal.

    Parameters
    ----------
    run : callable
        Gives the partition that the next start leads to.
    n_init : int
    tasks : Tasks, optional

    Returns
    -------
    partition : MeanPartition
    """
    best: _Partition | None = None
    for number in range(n_init):
        tasks.start_begins()
        found = run()
        _LOGGER.info(
            "start %d: criterion %.6g after %d iterations",
            number,
            found.criterion,
            found.n_iter,
        )
        if best is None or found.criterion < best.criterion - best.margin:
            best = found
        if tasks.start_ends():
            break
    if best is None:
        raise ValueError(f"n_init={n_init} should be >= 1.")
    return best
