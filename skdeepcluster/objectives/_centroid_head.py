r"""The last layer of a classifier as centroids: the "Gauss layer".

.. math::
    \ell_{ik} = -\gamma_k \lVert z_i - m_k \rVert^2, \qquad
    \text{confidence}_{ik} = e^{\ell_{ik}}

Confidences of a row need not sum to one: far from all centroids they all vanish.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from skdeepcluster.kmeans import cluster_sums
from skdeepcluster.kmeans._assignment import explicit_distances
from skdeepcluster.objectives._base import (
    Batch,
    TensorSpec,
    in_double,
    like,
    squared_distances,
)
from skdeepcluster.objectives._class_head import ClassHead, least_ratio
from skdeepcluster.utils._reduce import Reduce, identity

# Squared distance to the centroid of another class, times gamma, below which BCE pushes
# no harder: its gradient has no bound there.
_CLOSEST = 1e-3
_DELTA_BOUNDS = (1e-3, 0.9)
_DELTA_DECAY = 5e-3


def centroid_logits(z: Tensor, centers: Tensor, gamma: Tensor) -> Tensor:
    r"""Logits of the centroids, :math:`-\gamma_k \lVert z_i - m_k \rVert^2`.

    Parameters
    ----------
    z : Tensor of shape (n, d)
    centers : Tensor of shape (k, d)
    gamma : Tensor of shape (k,)
        Positive.

    Returns
    -------
    logits : Tensor of shape (n, k)
        At most 0; their exponentials are the confidences.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.objectives import centroid_logits
    >>> centers, gamma = torch.tensor([[0.0], [3.0]]), torch.tensor([0.5, 0.5])
    >>> centroid_logits(torch.tensor([[1.0]]), centers, gamma)
    tensor([[-0.5000, -2.0000]])
    """
    return -gamma * squared_distances(z, centers)


def ga_loss(logits: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    r"""Cross-entropy that asks for a margin, and pulls rows to their centroid.

    .. math::
        L_i = -\ell_{iy} + \ln \Bigl( e^{\ell_{iy}}
        + \sum_{k \ne y} e^{\delta_k \ell_{ik}} \Bigr) - \delta_y \ell_{iy}

    The last term is what cross-entropy lacks, which only wants the right cone.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
    target : Tensor of shape (n,), int64
        Number of each row's class.
    delta : Tensor of shape (k,)
        Below 1: the other centroids count as nearer than they are.

    Returns
    -------
    loss : Tensor of shape (n,)
    """
    own = _own(logits, target)
    is_own = one_hot(target, logits.shape[1]).bool()
    nearer = torch.where(is_own, logits, delta * logits)
    return nearer.logsumexp(dim=1) - own - delta[target] * own


def ct_loss(logits: Tensor, target: Tensor, nll_weight: float = 1.0) -> Tensor:
    r"""Cross-entropy, and the distance to the own centroid.

    .. math::
        L_i = -\ell_{iy} + \ln \sum_k e^{\ell_{ik}} - w \ell_{iy}

    Parameters
    ----------
    logits : Tensor of shape (n, k)
    target : Tensor of shape (n,), int64
    nll_weight : float, default=1.0
        w.

    Returns
    -------
    loss : Tensor of shape (n,)
    """
    own = _own(logits, target)
    return logits.logsumexp(dim=1) - (1 + nll_weight) * own


def bce_loss(logits: Tensor, target: Tensor) -> Tensor:
    r"""Binary cross-entropy of every confidence, summed over the classes.

    .. math::
        L_i = -\ell_{iy} - \sum_{k \ne y} \ln \bigl( 1 - e^{\ell_{ik}} \bigr)

    Parameters
    ----------
    logits : Tensor of shape (n, k)
    target : Tensor of shape (n,), int64

    Returns
    -------
    loss : Tensor of shape (n,)
        Logits of other classes above -0.001 count as -0.001.
    """
    apart = torch.log(-torch.expm1(logits.clamp(max=-_CLOSEST)))
    return _own(apart, target) - apart.sum(dim=1) - _own(logits, target)


def _own(values: Tensor, target: Tensor) -> Tensor:
    return values.gather(1, target.unsqueeze(1)).squeeze(1)


class CentroidHead(ClassHead):
    """Centroids of the classes: the nearer to one, the surer.

    Centroids start as class means of the embedding. They, the gammas and the deltas
    learn by gradient; `project` brings the latter two back into their bounds.

    Parameters
    ----------
    codes : Tensor of shape (n_samples,), int64
        Number of the class of every row of the data.
    n_classes : int
    kind : {"ga", "ct", "bce"}, default="ga"
        Which loss: `ga_loss`, `ct_loss` or `bce_loss`.
    gamma_init : float, default=None
        None takes the inverse of the mean squared distance of rows to their centroid,
        which makes the mean log confidence -1; but at most 1, beyond which gradient
        descent soon becomes unstable.
    gamma_bounds : tuple of two floats, default=(0.05, 1000.0)
    delta_init : float, default=0.9
        Of "ga"; kept in [0.001, 0.9], and drawn towards 0 by a weight decay of 5e-3.

    Attributes
    ----------
    centers : Parameter of shape (n_classes, embedding_size)
        Empty before ``initialise``.
    gamma : Parameter of shape (n_classes,)
    delta : Parameter of shape (n_classes,)
        Used by "ga" alone.
    """

    def __init__(
        self,
        codes: Tensor,
        n_classes: int,
        kind: str = "ga",
        gamma_init: float | None = None,
        gamma_bounds: tuple[float, float] = (0.05, 1000.0),
        delta_init: float = 0.9,
    ) -> None:
        super().__init__(codes, n_classes)
        self.kind = kind
        self.gamma_init = gamma_init
        self.gamma_bounds = gamma_bounds
        self.centers = nn.Parameter(torch.empty(0))
        self.gamma = nn.Parameter(torch.ones(n_classes))
        self.delta_init = float(delta_init)
        self.delta = nn.Parameter(torch.ones(n_classes), requires_grad=kind == "ga")

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Centroids are the class means of `z`."""
        if self.codes is None:
            raise ValueError("CentroidHead needs the classes of all rows.")
        codes = self.codes.to(z.device)
        sums, counts = cluster_sums(z, codes, self.n_classes, weight)
        sums, counts = reduce(sums), reduce(counts)
        centers = sums / counts.unsqueeze(1)  # (k, d)
        gamma = self.gamma_init
        if gamma is None:
            apart = (in_double(z) - centers[codes.to(centers.device)]).square().sum(1)
            if weight is not None:
                apart = apart * in_double(weight)
            gamma = 1 / max(1.0, float(reduce(apart.sum()) / counts.sum()))
        self.centers = nn.Parameter(centers.to(z))
        self.gamma.data = z.new_full((self.n_classes,), gamma)
        self.delta.data = z.new_full((self.n_classes,), self.delta_init)
        self.project()

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The centroids."""
        return {"centers": TensorSpec((self.n_classes, size))}

    def loss(self, batch: Batch) -> Tensor:
        """Loss of each row, (b,); "ga" has the weight decay of delta added."""
        logits, target = self.logits(batch.z), self._codes_of(batch)
        if self.kind == "ct":
            return ct_loss(logits, target)
        if self.kind == "bce":
            return bce_loss(logits, target)
        decay = _DELTA_DECAY / 2 * self.delta.square().sum()
        return ga_loss(logits, target, self.delta) + decay

    @torch.no_grad()
    def project(self) -> None:
        """Clamp the gammas and the deltas."""
        self.gamma.clamp_(*self.gamma_bounds)
        self.delta.clamp_(*_DELTA_BOUNDS)

    def logits(self, z: Tensor) -> Tensor:
        """Logits of the centroids, (n, k), at most 0."""
        return centroid_logits(z, like(self.centers, z), like(self.gamma, z))

    def log_confidence(self, z: Tensor) -> Tensor:
        """The logits: confidences are their exponentials."""
        return self.logits(z)

    @torch.no_grad()
    def margin(self, z: Tensor) -> Tensor:
        r"""Distance to the nearest point that is decided otherwise.

        The points where two classes tie form a sphere, or for equal gammas a
        hyperplane, whose distance is

        .. math::
            \frac{\ell_a - \ell_k}{\lVert \gamma_a (z - m_a) - \gamma_k (z - m_k) \rVert
            + \sqrt{\gamma_a \gamma_k} \lVert m_a - m_k \rVert}
        """
        z = in_double(z)
        centers, gamma = like(self.centers, z), like(self.gamma, z)
        logits = self.logits(z)
        best = logits.argmax(dim=1)
        pulls = gamma.unsqueeze(1) * (z.unsqueeze(1) - centers)  # (n, k, d)
        own = pulls[torch.arange(len(z), device=z.device), best].unsqueeze(1)
        apart = explicit_distances(centers, centers)
        apart = apart * (gamma.unsqueeze(1) * gamma).sqrt()
        return least_ratio(logits, best, (own - pulls).norm(dim=2) + apart[best])
