r"""Cluster assignment hardening: DEC's Student-t assignments and their sharper target.

.. math::

    q_{ij} &= \frac{(1 + \lVert z_i - \mu_j \rVert^2 / \alpha)^{-(\alpha+1)/2}}
                   {\sum_{j'} (1 + \lVert z_i - \mu_{j'} \rVert^2 / \alpha)^{-(\alpha+1)/2}}
    \qquad &(1) \\
    L &= \mathrm{KL}(P \Vert Q)
       = \frac{1}{n} \sum_i \sum_j p_{ij} \log \frac{p_{ij}}{q_{ij}} \qquad &(2) \\
    p_{ij} &= \frac{q_{ij}^2 / f_j}{\sum_{j'} q_{ij'}^2 / f_{j'}},
    \qquad f_j = \sum_i q_{ij} \qquad &(3)

Equation numbers are those of Xie, Girshick and Farhadi (2016).
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from skdeepcluster.objectives._base import (
    Batch,
    ClusteringObjective,
    TensorSpec,
    squared_distances,
)
from skdeepcluster.utils._reduce import Reduce, identity

# Assignments of all rows that a refresh keeps in float64: 32 MiB.
_KEPT_ELEMENTS = 1 << 22


def student_t_log_q(z: Tensor, centers: Tensor, alpha: float = 1.0) -> Tensor:
    """Log of the soft assignments, equation (1).

    Differences are taken explicitly: expanding the square cancels in float32 when the
    embedding lies far from the origin.

    Parameters
    ----------
    z : Tensor of shape (n, d)
    centers : Tensor of shape (k, d)
    alpha : float, default=1.0
        Degrees of freedom.

    Returns
    -------
    log_q : Tensor of shape (n, k)

    Raises
    ------
    ValueError
        If `alpha` is greater than every number of the dtype of `z`.
    """
    numbers = torch.finfo(z.dtype)
    if alpha > numbers.max:
        raise ValueError(
            f"The 'alpha' parameter must be at most {numbers.max:.3g}, the largest "
            f"number of {z.dtype}. Got {alpha!r} instead."
        )
    squared = squared_distances(z, centers)
    if alpha < numbers.tiny**0.5:
        # The quotient would overflow; of its logarithm, what all have cancels.
        log = torch.log(squared + max(alpha, numbers.tiny))
    else:
        log = torch.log1p(squared / alpha)
    return (-(alpha + 1) / 2 * log).log_softmax(dim=1)


def target_distribution(
    q: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
) -> Tensor:
    """Sharpened assignments of the whole data set, equation (3).

    Parameters
    ----------
    q : Tensor of shape (n, k)
        Soft assignments of *all* rows: a batch's own frequencies give another target.
    weight : Tensor of shape (n,), optional
        Sample weights, which enter the frequencies.
    reduce : callable
        Sums a statistic over processes.

    Returns
    -------
    p : Tensor of shape (n, k)
        Without gradient.
    """
    q = q.detach()
    return _sharpened(q, reduce(_frequencies(q, weight)))


def _frequencies(q: Tensor, weight: Tensor | None) -> Tensor:
    """Sums of the rows' assignments, (k,)."""
    return (q if weight is None else q * weight.unsqueeze(1)).sum(dim=0)


def _sharpened(q: Tensor, frequency: Tensor) -> Tensor:
    sharp = q.square() / frequency.clamp(min=torch.finfo(q.dtype).tiny)
    return sharp / sharp.sum(dim=1, keepdim=True)


def kl_divergence(p: Tensor, log_q: Tensor) -> Tensor:
    """KL(P || Q) of each row, equation (2) before the mean.

    Parameters
    ----------
    p : Tensor of shape (n, k)
        Target, a constant.
    log_q : Tensor of shape (n, k)
        Log of the soft assignments.

    Returns
    -------
    divergence : Tensor of shape (n,)
        Sum over the clusters; zero where p is zero.
    """
    return (torch.xlogy(p, p) - p * log_q).sum(dim=1)


class Hardening(ClusteringObjective):
    """KL divergence to the sharpened Student-t assignments of the whole data set.

    Centres start from k-means on the embedding and learn by gradient. The target is
    computed by `refresh` on all data and held constant until the next one.

    Parameters
    ----------
    n_clusters : int
    alpha : float, default=1.0
        Degrees of freedom of the Student-t kernel.
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.

    References
    ----------
    J. Xie, R. Girshick and A. Farhadi, "Unsupervised Deep Embedding for Clustering
    Analysis", ICML 2016.
    """

    #: No centre is more probable than the nearest one.
    takes_nearest = True

    def __init__(self, n_clusters: int, alpha: float = 1.0, n_init: int = 20) -> None:
        super().__init__(n_clusters, n_init)
        self.alpha = alpha

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Target P of all rows, (n, k), in the dtype of `z`.

        Of many rows Q is computed twice, block by block, and never kept: in float64 it
        would take more memory than the embedding and the target.
        """
        first, second = self._q_blocks(z), self._q_blocks(z)
        if len(z) * self.n_clusters <= _KEPT_ELEMENTS:
            first = second = list(first)
        frequency = reduce(self._frequencies_of_all(first, weight))
        target = z.new_empty(len(z), self.n_clusters)
        for rows, q in second:
            target[rows] = _sharpened(q, frequency).to(z)
        return target

    def _q_blocks(self, z: Tensor) -> Iterable[tuple[slice, Tensor]]:
        return ((rows, log_q.exp()) for rows, log_q in self.log_q_blocks(z))

    def _frequencies_of_all(
        self, blocks: Iterable[tuple[slice, Tensor]], weight: Tensor | None
    ) -> Tensor:
        total: Tensor | None = None
        for rows, q in blocks:
            heavy = None if weight is None else weight[rows].to(q)
            part = _frequencies(q, heavy)
            total = part if total is None else total + part
        return torch.zeros(self.n_clusters) if total is None else total

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """The target distribution."""
        return TensorSpec((n_rows, self.n_clusters))

    def loss(self, batch: Batch) -> Tensor:
        """KL divergence of each row to its part of the target, (b,)."""
        return kl_divergence(self._target_of(batch), self.log_q(batch.z))

    def log_q(self, z: Tensor) -> Tensor:
        """Log of the soft assignments of equation (1), (n, k)."""
        return student_t_log_q(z, self._centers_like(z), self.alpha)
