r"""Less scatter within clusters, along its largest direction: DEKM.

.. math::
    S_w = \sum_k \sum_{i \in k} (h_i - u_k)(h_i - u_k)^\top = V \Lambda V^\top

The last column v of V has the largest eigenvalue, so it is the direction that says
least about the clusters. In the basis V only the last coordinate is replaced, by that
of the row's centre; written in the old basis the target of a row is

.. math:: h_i' = h_i - v v^\top (h_i - u_{c_i}), \qquad
    L_i = \frac{1}{d} \lVert f(x_i) - h_i' \rVert^2 .
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from skdeepcluster.kmeans import KMeansResult, kmeans, lloyd, nearest_center
from skdeepcluster.objectives._base import (
    Batch,
    ClusteringObjective,
    TensorSpec,
    in_double,
)
from skdeepcluster.utils._reduce import Reduce, identity

# Fresh starts at a refresh, beside the one from the centres as they stand, for every
# start of the first k-means.
_FRESH_SHARE = 0.1


def within_scatter(
    z: Tensor,
    centers: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    reduce: Reduce = identity,
) -> Tensor:
    """Scatter of the rows about the centres of their clusters.

    Parameters
    ----------
    z : Tensor of shape (n, d)
    centers : Tensor of shape (k, d)
    labels : Tensor of shape (n,), int64
    weight : Tensor of shape (n,), optional
    reduce : callable
        Sums a statistic over processes.

    Returns
    -------
    scatter : Tensor of shape (d, d), float64
        Its trace is the inertia.
    """
    apart = in_double(z)
    apart = apart - in_double(centers).to(apart.device)[labels.to(apart.device)]
    weighted = apart if weight is None else apart * in_double(weight)[:, None]
    return reduce(weighted.T @ apart)


def aligned(
    labels: Tensor, before: Tensor, n_clusters: int, reduce: Reduce = identity
) -> Tensor:
    """Renumbering under which most labels stay as they were.

    Parameters
    ----------
    labels, before : Tensor of shape (n,), int64
    n_clusters : int
    reduce : callable
        Sums a statistic over processes.

    Returns
    -------
    order : Tensor of shape (n_clusters,), int64
        New cluster j is cluster ``order[j]`` of `labels`.
    """
    pairs = torch.bincount(before * n_clusters + labels, minlength=n_clusters**2)
    counts = reduce(in_double(pairs)).view(n_clusters, n_clusters).cpu().numpy()
    return torch.as_tensor(linear_sum_assignment(counts, maximize=True)[1])


class ScatterReduction(ClusteringObjective):
    """Distance to the row itself with the last eigen-coordinate of its centre.

    Every `refresh` clusters all rows by k-means (from the centres as they stand, and
    from some fresh starts), numbers the clusters as they were, and sets the targets.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the first k-means; later ones have a tenth of them, and start from
        the centres before.

    References
    ----------
    W. Guo, K. Lin and W. Ye, "Deep Embedded K-Means Clustering", ICDM Workshops 2021.
    """

    learns_centers = False
    seed: Tensor

    def __init__(self, n_clusters: int, n_init: int = 20) -> None:
        super().__init__(n_clusters, n_init)
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Centres of the first clusters of `z`, and a seed for those to come."""
        super().initialise(z, weight, rng, reduce)
        self.seed = torch.randint(1 << 31, (), generator=rng)

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Targets of all rows, (n, d), in the dtype of `z`."""
        labels = self._recluster(z, weight, reduce)
        scatter = within_scatter(z, self.centers, labels, weight, reduce)
        v = torch.linalg.eigh(scatter).eigenvectors[:, -1].to(z)  # (d,)
        apart = z - self.centers[labels]
        return z - (apart @ v)[:, None] * v

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """Rows of the embedding."""
        return TensorSpec((n_rows, size))

    def finish(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """K-means on the final embedding."""
        self._recluster(z, weight, reduce)

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared distance of each row to its target, (b,)."""
        return (batch.z - self._target_of(batch)).square().mean(dim=1)

    def _recluster(self, z: Tensor, weight: Tensor | None, reduce: Reduce) -> Tensor:
        """Better centres, numbered as before; returns the labels, (n,)."""
        before, _ = nearest_center(z, self.centers)
        found = self._best(z, weight, reduce)
        order = aligned(found.labels, before, self.n_clusters, reduce)
        self.centers.copy_(found.centers[order.to(found.centers.device)])
        return order.argsort().to(found.labels.device)[found.labels].to(z.device)

    def _best(self, z: Tensor, weight: Tensor | None, reduce: Reduce) -> KMeansResult:
        self.seed += 1
        warm = lloyd(z, self.centers, weight=weight, reduce=reduce)
        fresh = kmeans(
            z,
            self.n_clusters,
            generator=torch.Generator().manual_seed(int(self.seed)),
            weight=weight,
            n_init=max(1, int(self.n_init * _FRESH_SHARE)),
            reduce=reduce,
        )
        return min(warm, fresh, key=lambda found: found.inertia)
