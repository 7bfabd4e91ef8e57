r"""Soft k-means in the embedding: distances weighted by their own softmax.

.. math::
    d_{ik} = \lVert z_i - r_k \rVert^2, \qquad
    G_{ik} = \frac{e^{-\alpha d_{ik}}}{\sum_{k'} e^{-\alpha d_{ik'}}}, \qquad
    L_i = \sum_k d_{ik} G_{ik}

The gradient flows through the weights G as well, so that representatives and network
are learnt by one descent (Moradi Fard, Thonet and Gaussier, 2020).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skdeepcluster.objectives._base import (
    Batch,
    ClusteringObjective,
    squared_distances,
)
from skdeepcluster.utils._reduce import Reduce, identity

_ANNEALING_VALUES = 40


def annealing_schedule(n_values: int = _ANNEALING_VALUES) -> list[float]:
    r"""Values of alpha in the annealed method, from 0.1 on.

    .. math:: \alpha_1 = 0.1, \qquad \alpha_{i+1} = 2^{1 / \ln^2(i+1)} \alpha_i

    Parameters
    ----------
    n_values : int, default=40

    Returns
    -------
    alphas : list of float
        Strictly increasing.
    """
    alphas = [0.1]
    for i in range(1, n_values):
        alphas.append(2 ** (1 / math.log(i + 1) ** 2) * alphas[-1])
    return alphas


class SoftKMeans(ClusteringObjective):
    """Squared distances to all centres, weighted by the softmax of their negatives.

    Parameters
    ----------
    n_clusters : int
    alpha : float, default=1000.0
        Inverse temperature, in units of one over a squared distance of the embedding.
        0 weights all centres alike; infinity takes the nearest one alone: then there
        are no soft assignments.
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.
    annealing_epochs : int, default=0
        Number of epochs over which alpha takes the values of `annealing_schedule`,
        whatever `alpha` says; the centres then start at random in [-1, 1], unless
        `start` is set. 0 keeps `alpha`.

    References
    ----------
    M. Moradi Fard, T. Thonet and E. Gaussier, "Deep k-Means: Jointly clustering with
    k-Means and learning representations", Pattern Recognition Letters 138, 2020.
    """

    #: No centre is more probable than the nearest one.
    takes_nearest = True

    def __init__(
        self,
        n_clusters: int,
        alpha: float = 1000.0,
        n_init: int = 20,
        annealing_epochs: int = 0,
    ) -> None:
        super().__init__(n_clusters, n_init)
        if not alpha >= 0:
            raise ValueError(
                "The 'alpha' parameter of SoftKMeans must be in the range [0, inf]. "
                f"Got {alpha!r} instead."
            )
        self.annealing_epochs = annealing_epochs
        # A plain number: a tensor would make a GPU wait at every step.
        self.alpha = annealing_schedule()[0] if annealing_epochs else float(alpha)

    def get_extra_state(self) -> float:
        """Alpha as it stands, for the ``state_dict``."""
        return self.alpha

    def set_extra_state(self, state: float) -> None:
        """Take alpha from a ``state_dict``."""
        self.alpha = float(state)

    @property
    def is_soft(self) -> bool:
        """Whether alpha is finite."""
        return math.isfinite(self.alpha)

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Centres of the first clusters of `z`, or at random for annealing.

        Where `start` gives first clusters, these are taken for annealing as well.
        """
        if self.start is not None or not self.annealing_epochs:
            super().initialise(z, weight, rng, reduce)
            return
        drawn = torch.empty(self.n_clusters, z.shape[1], dtype=torch.float32)
        self._put_centers(drawn.uniform_(-1, 1, generator=rng).to(z))

    def recluster(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Forget the centres: take those of first clusters of `z`, annealed or not."""
        super().initialise(z, weight, rng, reduce)

    def on_epoch(self, epoch: int) -> None:
        """Anneal alpha."""
        if self.annealing_epochs:
            self.alpha = annealing_schedule()[self._stage(epoch)]

    def _stage(self, epoch: int) -> int:
        """Which value of alpha an epoch has: equal shares, the last one at the end."""
        if epoch + 1 >= self.annealing_epochs:
            return _ANNEALING_VALUES - 1
        return epoch * _ANNEALING_VALUES // self.annealing_epochs

    def loss(self, batch: Batch) -> Tensor:
        """Weighted squared distances of each row, (b,)."""
        squared = self._squared(batch.z)
        if not self.is_soft:
            return squared.amin(dim=1)
        return (squared * self._log_g(squared).exp()).sum(dim=1)

    def log_q(self, z: Tensor) -> Tensor:
        """Log of the weights G, (n, k)."""
        return self._log_g(self._squared(z))

    def _squared(self, z: Tensor) -> Tensor:
        return squared_distances(z, self._centers_like(z))

    def _log_g(self, squared: Tensor) -> Tensor:
        # From the smallest distance on: large ones must not overflow first.
        excess = squared - squared.amin(dim=1, keepdim=True)
        return (-self.alpha * excess).log_softmax(dim=1)
