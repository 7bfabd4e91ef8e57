r"""Balanced assignments: clusters of equal weight.

.. math::
    g_k = \frac{1}{b} \sum_{i=1}^{b} q_{ik}, \qquad
    L = \mathrm{KL}(G \Vert U) = \ln K + \sum_k g_k \ln g_k
"""

from __future__ import annotations

import math

from torch import Tensor

from skdeepcluster.objectives._base import Batch, ClusteringObjective, Objective


class BalancedAssignment(Objective):
    """Divergence of the clusters' shares of a batch from equal shares.

    A loss of the whole batch: it returns a scalar. Use batches that are large beside
    the number of clusters.

    Parameters
    ----------
    clustering : ClusteringObjective
        Whose soft assignments are balanced; it must be one of the same phase.

    References
    ----------
    K. Ghasedi Dizaji, A. Herandi, C. Deng, W. Cai and H. Huang, "Deep Clustering via
    Joint Convolutional Autoencoder Embedding and Relative Entropy Minimization"
    (DEPICT), ICCV 2017.
    """

    def __init__(self, clustering: ClusteringObjective) -> None:
        super().__init__()
        if not clustering.is_soft:
            raise ValueError(
                "BalancedAssignment needs a clustering loss with soft assignments. "
                f"Got {type(clustering).__name__}."
            )
        self.clustering = clustering

    def loss(self, batch: Batch) -> Tensor:
        """Divergence of the batch, a scalar."""
        log_q = self.clustering.log_q(batch.z)  # (b, k)
        if batch.weight is None:
            log_share = log_q.logsumexp(dim=0) - math.log(len(log_q))
        else:
            share = batch.weight / batch.weight.sum()
            log_share = (log_q + share.log()[:, None]).logsumexp(dim=0)
        # Not xlogy: its gradient at a share that underflows to 0 is NaN.
        entropy = -(log_share.exp() * log_share).sum()
        return math.log(log_q.shape[1]) - entropy
