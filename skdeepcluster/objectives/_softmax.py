r"""A softmax layer on the embedding, whose answers are the assignments.

.. math:: p_i = \mathrm{softmax}(\Theta z_i + b)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skdeepcluster.kmeans import nearest_center
from skdeepcluster.objectives._base import (
    ClusteringObjective,
    TensorSpec,
    in_double,
    like,
)
from skdeepcluster.utils._reduce import Reduce, identity


def linear_scores(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Scores (n, k) of a linear layer, with gradient, in z's dtype."""
    # Not a matrix product, whose rounding of a row depends on the rows beside it.
    products = z.unsqueeze(1) * like(weight, z)  # (n, k, d)
    return products.sum(dim=2) + like(bias, z)


# In units of a mean squared reconstruction's curvature. That of a softmax layer begins
# at about the same, and grows with the embedding: tenfold in training (measured).
_STEEPNESS = 10.0


class SoftmaxClustering(ClusteringObjective):
    r"""Clustering losses whose assignments are those of a softmax layer.

    The layer starts where it decides as the centres do: with
    :math:`\Theta = 2 M / \bar d`, :math:`b_k = -\lVert \mu_k \rVert^2 / \bar d`,
    where :math:`\bar d` is the mean squared distance to the nearest centre.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.

    Attributes
    ----------
    weight : Parameter of shape (n_clusters, embedding_size)
        :math:`\Theta`; empty before ``initialise``, as is the bias.
    bias : Parameter of shape (n_clusters,)
        b.
    spread : Tensor
        :math:`\bar d`; 1 before ``initialise``.
    """

    learns_centers = False
    spread: Tensor

    def __init__(self, n_clusters: int, n_init: int = 20) -> None:
        super().__init__(n_clusters, n_init)
        self.weight = nn.Parameter(torch.empty(0))
        self.bias = nn.Parameter(torch.empty(0))
        self.register_buffer("spread", torch.ones(()))

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Centres of the first clusters, and the layer that decides as they do."""
        super().initialise(z, weight, rng, reduce)
        self._decide_as_centers(z, weight, reduce)

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The centres and the layer."""
        return {
            **super().expected_state(n_rows, size),
            "weight": TensorSpec((self.n_clusters, size)),
            "bias": TensorSpec((self.n_clusters,)),
        }

    @torch.no_grad()
    def steepness(self, n_features: int) -> float:
        """10, or more for embeddings far from the scale of a pretrained one.

        The curvature in the layer goes with the squared embedding, that in the
        embedding with the squared layer.
        """
        if not self.centers.numel():
            return _STEEPNESS
        squared = in_double(self.centers).square().sum(dim=1).mean() + self.spread
        largest = max(float(squared), float(in_double(self.weight).square().sum()))
        # Two digits: rounding of sums, which varies with the threads, does not show.
        return max(_STEEPNESS, float(f"{largest / _STEEPNESS:.2g}"))

    def log_q(self, z: Tensor) -> Tensor:
        """Log of the softmax layer's answers, (n, k)."""
        return self._scores(z).log_softmax(dim=1)

    def reorder(self, order: Tensor) -> None:
        """Renumber the clusters: new cluster j is old cluster ``order[j]``."""
        super().reorder(order)
        with torch.no_grad():
            order = order.to(self.weight.device)
            self.weight.copy_(self.weight[order])
            self.bias.copy_(self.bias[order])

    def _decide_as_centers(
        self, z: Tensor, weight: Tensor | None, reduce: Reduce
    ) -> None:
        _, apart = nearest_center(z, self.centers)
        counts = torch.ones_like(apart)
        if weight is not None:
            counts = in_double(weight).to(apart)
        total = reduce(torch.stack([(counts * apart).sum(), counts.sum()]))
        squared = self.centers.square().sum(dim=1)
        # Where every row is a centre, the sharpest layer that rounding leaves of use.
        sharpest = torch.finfo(z.dtype).eps * float(squared.max())
        spread = max(float(total[0] / total[1]), sharpest) or 1.0
        self.spread = squared.new_tensor(spread)
        self.weight, self.bias = map(nn.Parameter, self._layer_of_centers())

    def _layer_of_centers(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the layer that decides as the centres do."""
        spread = float(self.spread)
        squared = self.centers.square().sum(dim=1)
        return 2 * self.centers / spread, -squared / spread

    def _scores(self, z: Tensor) -> Tensor:
        return linear_scores(z, self.weight, self.bias)
