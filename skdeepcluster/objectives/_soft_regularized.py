r"""Soft regularised k-means, which is discriminative clustering in disguise.

.. math::

    \mathrm{SR} = \frac{1}{\lambda K} \, \frac{1}{n} \sum_i \Bigl(
    \sum_k q_{ik} \lVert z_i - c_k \rVert^2 - \lVert z_i \rVert^2 \Bigr)
    + \frac1n \sum_i \sum_k q_{ik} \ln q_{ik}

Closed forms, for the others fixed:

.. math::

    c_k = \frac{\sum_i q_{ik} z_i}{\sum_i q_{ik}}, \qquad
    q_i = \mathrm{softmax}_k \Bigl( -\frac{\lVert z_i - c_k \rVert^2}{\lambda K} \Bigr)

The softmax layer that belongs to it has :math:`\theta_k = c_k / \lambda K` and
:math:`b_k = \frac12 \ln \bar q_k - \lVert c_k \rVert^2 / 2 \lambda K`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from skdeepcluster.kmeans import soft_kmeans, soft_log_memberships, soft_means
from skdeepcluster.objectives._base import (
    Batch,
    ClusteringObjective,
    TensorSpec,
    in_double,
    like,
    squared_distances,
)
from skdeepcluster.utils._reduce import Reduce, identity


class SoftRegularizedKMeans(ClusteringObjective):
    r"""Soft k-means on an embedding that a negative squared norm keeps from shrinking.

    Every `refresh` moves the centres to the means of the last assignments and assigns
    all rows anew; the network learns with both fixed. On an embedding without bounds
    the loss has no minimum: the embedding should end in tanh, or be fixed.

    The assignments of rows are the posteriors of the softmax layer,
    :math:`p_{ik} \propto (q_{ik} \bar q_k)^{1/2}`.

    Parameters
    ----------
    n_clusters : int
    reg : float, default=1e-4
        :math:`\lambda`; the temperature of the assignments is :math:`\lambda K`.
    n_init : int, default=20
        Restarts of the k-means that gives the first labels.
    warmup_epochs : int, default=0
        Epochs in which the assignments are the first labels.

    References
    ----------
    M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep Clustering: On the Link
    Between Discriminative Models and K-Means", IEEE TPAMI 43(6), 2021.
    """

    learns_centers = False
    log_shares: Tensor
    assignments: Tensor | None
    warming: Tensor

    def __init__(
        self,
        n_clusters: int,
        reg: float = 1e-4,
        n_init: int = 20,
        warmup_epochs: int = 0,
    ) -> None:
        super().__init__(n_clusters, n_init)
        if not reg > 0:
            raise ValueError(
                "The 'reg' parameter of SoftRegularizedKMeans must be in the range "
                f"(0.0, inf). Got {reg!r} instead."
            )
        self.reg = reg
        self.warmup_epochs = warmup_epochs
        self.register_buffer("warming", torch.tensor(warmup_epochs > 0))
        self.register_buffer("log_shares", torch.zeros(n_clusters))
        self.register_buffer("assignments", None)

    @property
    def temperature(self) -> float:
        r""":math:`\lambda K`, in units of a squared distance of the embedding."""
        return self.reg * self.n_clusters

    @property
    def weight(self) -> Tensor:
        """Weights of the softmax layer, (k, d)."""
        return self.centers / self.temperature

    @property
    def bias(self) -> Tensor:
        """Biases of the softmax layer, (k,)."""
        squared = self.centers.square().sum(dim=1)
        return (self.log_shares - squared / self.temperature) / 2

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """First labels, and the means of their rows."""
        labels = self._start_clusters(z, weight, rng, reduce)
        self.assignments = one_hot(labels, self.n_clusters).to(in_double(z))
        self._set_shares(self.assignments, weight, reduce)

    def on_epoch(self, epoch: int) -> None:
        """End the warm-up."""
        self.warming.fill_(epoch < self.warmup_epochs)

    @torch.no_grad()
    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Centres of the last assignments, then new ones: (n, k), in z's dtype."""
        q = self.assignments
        if q is None:
            q = self.memberships(z)
        double, centers = in_double(z), in_double(self.centers)
        weight = None if weight is None else in_double(weight)
        self.centers.copy_(soft_means(double, q.to(double), centers, weight, reduce))
        if not self.warming:
            q = self.memberships(z)
        self._keep("assignments", q)
        self._set_shares(q, weight, reduce)
        return q.to(z)

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The centres and the assignments."""
        assignments = TensorSpec((n_rows, self.n_clusters), torch.float64)
        return {**super().expected_state(n_rows, size), "assignments": assignments}

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """The assignments."""
        return TensorSpec((n_rows, self.n_clusters))

    def loss(self, batch: Batch) -> Tensor:
        """SR of each row, (b,)."""
        q = self._target_of(batch)
        squared = squared_distances(batch.z, self.centers)
        apart = (q * squared).sum(dim=1) - batch.z.square().sum(dim=1)
        return apart / self.temperature + torch.xlogy(q, q).sum(dim=1)

    @torch.no_grad()
    def finish(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Alternate centres and assignments on the final embedding until they rest."""
        found = soft_kmeans(
            z, self.centers, self.temperature, weight=weight, reduce=reduce
        )
        self.centers.copy_(found.centers)
        self._set_shares(found.memberships, weight, reduce)
        self.assignments = None

    def _log_memberships(self, z: Tensor) -> Tensor:
        squared = squared_distances(z, self._centers_like(z))
        return (-squared / self.temperature).log_softmax(dim=1)

    @torch.no_grad()
    def memberships(self, z: Tensor) -> Tensor:
        """Soft assignments q, (n, k), float64; their argmax is the nearest centre."""
        centers = in_double(self.centers)
        return soft_log_memberships(in_double(z), centers, self.temperature).exp()

    def log_q(self, z: Tensor) -> Tensor:
        """Log of the posteriors p of the softmax layer, (n, k)."""
        doubled = self._log_memberships(z) + like(self.log_shares, z)
        return (doubled / 2).log_softmax(dim=1)

    def reorder(self, order: Tensor) -> None:
        """Renumber the clusters: new cluster j is old cluster ``order[j]``."""
        super().reorder(order)
        order = order.to(self.log_shares.device)
        self.log_shares.copy_(self.log_shares[order])

    def _set_shares(self, q: Tensor, weight: Tensor | None, reduce: Reduce) -> None:
        q = q if weight is None else q * weight.to(q)[:, None]
        total = reduce(q.sum(dim=0))
        shares = (total / total.sum()).clamp(min=torch.finfo(q.dtype).tiny)
        self._keep("log_shares", shares.log().to(self.centers))

    def _keep(self, name: str, value: Tensor) -> None:
        """Set a buffer, in its place where it fits: steps may be recorded."""
        held = getattr(self, name)
        fits = held is not None and held.shape == value.shape
        if fits and (held.dtype, held.device) == (value.dtype, value.device):
            held.copy_(value)
        else:
            setattr(self, name, value)
