r"""Hard k-means in the embedding, and the running means of DCN.

.. math::
    L_i = \lVert z_i - \mu_{s_i} \rVert^2, \qquad
    s_i = \arg\min_k \lVert z_i - \mu_k \rVert^2

Assignments and centres are constants of a step: they move between steps.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from skdeepcluster.kmeans import nearest_center
from skdeepcluster.kmeans._assignment import explicit_distances
from skdeepcluster.objectives._base import (
    Batch,
    ClusteringObjective,
    Objective,
    TensorSpec,
    in_double,
)
from skdeepcluster.utils._reduce import Reduce, identity

_LOGGER = logging.getLogger("skdeepcluster")
_TINY = torch.finfo(torch.float64).tiny


class HardKMeans(ClusteringObjective):
    """Squared distance to the centre of the row's cluster.

    Every `refresh` runs Lloyd's iteration from the centres as they stand and assigns
    all rows anew.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.

    References
    ----------
    E. Aljalbout, V. Golkov, Y. Siddiqui and D. Cremers, "Clustering with Deep Learning:
    Taxonomy and New Methods", arXiv:1801.07648, 2018.
    """

    learns_centers = False

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Cluster of every row, (n,), once the centres are the means of their rows."""
        return self.update_centers(z, weight, reduce)

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """Labels."""
        return TensorSpec((n_rows,), torch.int64, below=self.n_clusters)

    def finish(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Let the centres be the means of their rows in the final embedding."""
        self.refresh(z, weight, reduce)

    def loss(self, batch: Batch) -> Tensor:
        """Squared distance of each row to the centre it is assigned to, (b,)."""
        return (batch.z - self.centers[self._target_of(batch)]).square().sum(dim=1)


class KMeansReadout(HardKMeans):
    """K-means on an embedding that other losses shape: it adds nothing to them.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Zero for each row, (b,)."""
        return batch.z.new_zeros(len(batch.z))


class RunningKMeans(HardKMeans):
    r"""Hard k-means whose centres follow every batch, as in DCN.

    After a step the rows of the batch are embedded anew and assigned to the nearest
    centre, and each centre moves to the mean of all rows it ever counted:

    .. math:: \mu_k \leftarrow \frac{c_k \mu_k + \sum_{i: s_i = k} z_i}{c_k + m_k},
        \qquad c_k \leftarrow c_k + m_k

    for the :math:`m_k` rows of the batch in cluster k: the closed form of equation (8)
    of the paper, row by row. A cluster without rows at a `refresh` moves to the row
    that is farthest from its centre, of those that are not alone in their cluster.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.
    count_init : int, default=100
        Rows that every centre has counted at the start.

    References
    ----------
    B. Yang, X. Fu, N. D. Sidiropoulos and M. Hong, "Towards K-means-friendly Spaces:
    Simultaneous Deep Learning and Clustering", ICML 2017.
    """

    counts: Tensor

    def __init__(
        self, n_clusters: int, n_init: int = 20, count_init: int = 100
    ) -> None:
        super().__init__(n_clusters, n_init)
        self.count_init = count_init
        counts = torch.full((n_clusters,), float(count_init))
        self.register_buffer("counts", counts)

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Centres of the first clusters of `z`, counting from the start."""
        super().initialise(z, weight, rng, reduce)
        self.counts.fill_(self.count_init)

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Nearest centre of every row, (n,); clusters without rows start again."""
        counted = torch.ones(len(z)) if weight is None else weight > 0
        restarted = 0
        labels, squared = nearest_center(z, self.centers)
        # A new centre keeps its row, so that no cluster starts again twice, but it may
        # take all rows of another cluster, which is then the next.
        for _ in range(self.n_clusters):
            empty, farthest = self._restart(labels, squared, counted, reduce)
            if empty is None:
                break
            self.centers[empty] = z[farthest]
            self.counts[empty] = self.count_init
            restarted += 1
            labels, squared = nearest_center(z, self.centers)
        if restarted:
            _LOGGER.info("clusters without rows that start again: %d", restarted)
        return labels.to(z.device)

    def _restart(
        self, labels: Tensor, squared: Tensor, counted: Tensor, reduce: Reduce
    ) -> tuple[int | None, int]:
        """First cluster without rows, and the row that it starts again at.

        None where no cluster is without rows, or all rows are at their centres.
        """
        counted = counted.to(squared)
        apart = counted * (squared > 0)
        rows_of = [torch.bincount(labels, c, self.n_clusters) for c in (counted, apart)]
        n_rows, n_apart = reduce(torch.stack(rows_of))
        # Not the only row of a cluster, which would be without rows then.
        gives = (n_rows > 1) & (n_apart > 0)
        empty = (n_rows == 0).nonzero().flatten().tolist()
        if not empty or not gives.any():
            return None, 0
        return empty[0], int((squared * apart * gives[labels]).argmax())

    # The centres stay as the last step left them: no k-means at the end.
    finish = Objective.finish

    def after_step(self, batch: Batch) -> Tensor:
        """Assign the rows of the batch and let the centres follow; the labels, (b,)."""
        # Plain sums, as the checks of the k-means functions make a GPU wait.
        z, centers = in_double(batch.z), in_double(self.centers)
        labels = explicit_distances(z, centers).argmin(dim=1)
        belongs = labels == torch.arange(self.n_clusters, device=z.device)[:, None]
        counted = belongs.to(z)  # (k, b)
        if batch.weight is not None:
            counted = counted * in_double(batch.weight)
        members = counted.sum(dim=1)
        total = in_double(self.counts) + members
        step = counted @ z - members[:, None] * centers
        self.centers.copy_(centers + step / total.clamp(min=_TINY)[:, None])
        self.counts.copy_(total)
        return labels.to(batch.z.device)

    def reorder(self, order: Tensor) -> None:
        """Renumber the clusters: new cluster j is old cluster ``order[j]``."""
        super().reorder(order)
        self.counts.copy_(self.counts[order.to(self.counts.device)])
