r"""Regularised mutual information, by alternating directions.

.. math::

    F(q, \Theta, b) = \frac{1}{n} \sum_i \sum_k q_{ik} \ln \frac{q_{ik}}{p_{ik}^r}
    + \sum_k \bar q_k \ln \bar q_k + \lambda \sum_k \lVert \theta_k \rVert^2,
    \qquad p_i = \mathrm{softmax}(\Theta z_i + b), \quad \bar q_k = \frac1n \sum_i q_{ik}

At q = p and r = 2 this is the negative mutual information of rows and clusters, with
its regulariser (Jabi, Pedersoli, Mitiche and Ben Ayed, 2021); r = 1 is the divergence of
DEPICT.
"""  # noqa: E501

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from skdeepcluster.kmeans import soft_means
from skdeepcluster.objectives._base import Batch, TensorSpec, in_double
from skdeepcluster.objectives._softmax import SoftmaxClustering
from skdeepcluster.utils._reduce import Reduce, identity

POWERS = {"mi": 2, "kl": 1}


def balanced_targets(
    log_p: Tensor,
    power: int,
    weight: Tensor | None = None,
    reduce: Reduce = identity,
) -> Tensor:
    r"""Auxiliary assignments q for given posteriors p: an approximate closed form.

    .. math::

        q_{ik} \propto \frac{p_{ik}^r}{\bigl( \sum_{i'} p_{i'k}^r \bigr)^{1/2}}

    The stationary point of F in q, with the normalisers of the rows taken as equal.

    Parameters
    ----------
    log_p : Tensor of shape (n, k)
        Log-posteriors of *all* rows.
    power : {1, 2}
        r: 2 for the mutual information, 1 for the divergence of DEPICT.
    weight : Tensor of shape (n,), optional
        Sample weights, which enter the sums.
    reduce : callable
        Sums a statistic over processes.

    Returns
    -------
    q : Tensor of shape (n, k)
        Without gradient; rows sum to 1.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.objectives import balanced_targets
    >>> p = torch.tensor([[0.8, 0.2], [0.6, 0.4]], dtype=torch.float64)
    >>> balanced_targets(p.log(), 2).numpy().round(4)
    array([[0.8774, 0.1226],
           [0.5016, 0.4984]])
    """
    scaled = power * log_p.detach()
    sharp = scaled.exp()
    total = (sharp if weight is None else sharp * weight.unsqueeze(1)).sum(dim=0)
    total = reduce(total).clamp(min=torch.finfo(sharp.dtype).tiny)
    return (scaled - total.log() / 2).softmax(dim=1)


class MutualInformation(SoftmaxClustering):
    r"""Cross-entropy of a softmax layer to balanced targets of its own.

    Every `refresh` sets the targets q of all rows by :func:`balanced_targets`; between
    two of them network and layer minimise
    :math:`-\frac{r}{n} \sum_{ik} q_{ik} \ln p_{ik} + \lambda \sum_k \lVert \theta_k
    \rVert^2`.

    Parameters
    ----------
    n_clusters : int
    reg : float, default=1e-4
        :math:`\lambda`, weight of the squared norms.
    objective : {"mi", "kl"}, default="mi"
        "mi" is the mutual information, "kl" the divergence of DEPICT.
    n_init : int, default=20
        Restarts of the k-means that gives the first labels.
    warmup_epochs : int, default=0
        Epochs in which the targets are the first labels.

    References
    ----------
    M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep Clustering: On the Link
    Between Discriminative Models and K-Means", IEEE TPAMI 43(6), 2021.

    K. Ghasedi Dizaji, A. Herandi, C. Deng, W. Cai and H. Huang, "Deep Clustering via
    Joint Convolutional Autoencoder Embedding and Relative Entropy Minimization",
    ICCV 2017.
    """

    first_labels: Tensor | None
    warming: Tensor

    def __init__(
        self,
        n_clusters: int,
        reg: float = 1e-4,
        objective: str = "mi",
        n_init: int = 20,
        warmup_epochs: int = 0,
    ) -> None:
        super().__init__(n_clusters, n_init)
        if objective not in POWERS:
            raise ValueError(
                "The 'objective' parameter of MutualInformation must be 'mi' or 'kl'. "
                f"Got {objective!r} instead."
            )
        self.reg = reg
        self.power = POWERS[objective]
        self.warmup_epochs = warmup_epochs
        self.register_buffer("warming", torch.tensor(warmup_epochs > 0))
        self.register_buffer("first_labels", None)

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """First labels, their means, and the layer that decides as these do."""
        self.first_labels = self._start_clusters(z, weight, rng, reduce)
        self._decide_as_centers(z, weight, reduce)

    def on_epoch(self, epoch: int) -> None:
        """End the warm-up."""
        self.warming.fill_(epoch < self.warmup_epochs)

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Targets of all rows, (n, k), in the dtype of `z`."""
        if self.warming and self.first_labels is not None:
            return one_hot(self.first_labels, self.n_clusters).to(z)
        log_p = self.log_soft_assign(z)
        weight = None if weight is None else in_double(weight)
        return balanced_targets(log_p, self.power, weight, reduce).to(z)

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The centres, the layer and the first labels."""
        labels = TensorSpec((n_rows,), torch.int64, below=self.n_clusters)
        return {**super().expected_state(n_rows, size), "first_labels": labels}

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """Targets of the classes."""
        return TensorSpec((n_rows, self.n_clusters))

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of each row to its target, and the regulariser, (b,)."""
        cross = -(self._target_of(batch) * self.log_q(batch.z)).sum(dim=1)
        return self.power * cross + self.reg * self.weight.square().sum()

    def finish(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Let the centres be the means weighted by the posteriors."""
        weight = None if weight is None else in_double(weight)
        p, centers = self.soft_assign(z), in_double(self.centers)
        self.centers.copy_(soft_means(in_double(z), p, centers, weight, reduce))
        self.first_labels = None
