r"""Cluster classification: clusters of the embedding as classes to be learnt.

.. math::
    L_i = -\ln q_{i, c_i}, \qquad
    q_i = \mathrm{softmax}(W z_i + b)

with pseudo-labels c from k-means on the embedding of all data.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skdeepcluster.objectives._base import Batch, TensorSpec
from skdeepcluster.objectives._softmax import SoftmaxClustering
from skdeepcluster.utils._reduce import Reduce, identity


class ClusterClassification(SoftmaxClustering):
    r"""Cross-entropy of a softmax layer to the clusters that k-means finds.

    The layer starts where it decides as the centres do: with
    :math:`W = 2 M / \bar d`, :math:`b_k = -\lVert \mu_k \rVert^2 / \bar d`, where
    :math:`\bar d` is the mean squared distance to the nearest centre. Every `refresh`
    runs Lloyd's iteration from the centres as they stand, which keeps the numbers of
    the clusters, takes its labels, and lets the layer decide as the centres do again,
    with the first :math:`\bar d`. Labels of rows are those of the layer.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.

    References
    ----------
    C.-C. Hsu and C.-W. Lin, "CNN-based Joint Clustering and Representation Learning
    with Feature Drift Compensation for Large-scale Image Data", IEEE Transactions on
    Multimedia 20(2), 2018.
    """

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Pseudo-label of every row, (n,)."""
        labels = self.update_centers(z, weight, reduce)
        # A layer left to itself contradicts k-means about ever more rows: labels and
        # network then chase each other away from the clusters. Were its scale that of
        # the embedding as it is, this would grow without end.
        weights, bias = self._layer_of_centers()
        with torch.no_grad():
            self.weight.copy_(weights)
            self.bias.copy_(bias)
        return labels

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """Pseudo-labels."""
        return TensorSpec((n_rows,), torch.int64, below=self.n_clusters)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of each row to its pseudo-label, (b,)."""
        return cross_entropy(
            self._scores(batch.z), self._target_of(batch), reduction="none"
        )
