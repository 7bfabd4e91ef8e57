r"""Reconstruction: the usual non-clustering loss.

.. math:: L_i = \frac{1}{D} \lVert x_i - g(f(x_i)) \rVert^2
"""

from __future__ import annotations

import torch
from torch import Tensor

from skdeepcluster.objectives._base import Batch, Objective


class Reconstruction(Objective):
    r"""Squared error between the clean input and its reconstruction.

    .. math:: L_i = \frac{1}{D} \sum_{j=1}^{D} (x_{ij} - \hat x_{ij})^2

    The mean over the D features keeps one learning rate right for any D. With X
    divided by its root mean square the loss of predicting the mean is 1.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default="mean"
        "sum" does not divide by D: beside a clustering loss, reconstruction then counts
        D times as much. Papers differ.
    """

    needs_reconstruction = True

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise ValueError(
                "The 'reduction' parameter of Reconstruction must be 'mean' or 'sum'. "
                f"Got {reduction!r} instead."
            )
        self.reduction = reduction

    def steepness(self, n_features: int) -> float:
        """1, or the number of features where the error is their sum."""
        return 1.0 if self.reduction == "mean" else float(n_features)

    def loss(self, batch: Batch) -> Tensor:
        """Squared error of each row, (b,)."""
        if batch.x_hat is None or batch.x_hat.shape != batch.x.shape:
            got = None if batch.x_hat is None else tuple(batch.x_hat.shape)
            raise ValueError(
                f"{type(self).__name__} needs batch.x_hat of the shape of batch.x, "
                f"{tuple(batch.x.shape)}. Got {got}."
            )
        squares = (batch.x_hat - batch.x).square()
        return squares.mean(dim=1) if self.reduction == "mean" else squares.sum(dim=1)

    def extra_repr(self) -> str:
        """Show the parameters."""
        return f"reduction={self.reduction!r}"


class Denoising(Reconstruction):
    r"""Reconstruction of the clean input from a corrupted one.

    .. math:: L_i = \frac{1}{D} \lVert x_i - g(f(\tilde x_i)) \rVert^2

    Parameters
    ----------
    dropout : float, default=0.2
        Probability that an entry of the input is set to zero, which is its mean; the
        others are divided by 1 - dropout.
    noise : float, default=0.0
        Standard deviation of Gaussian noise on the input, in units of the root mean
        square of X.
    reduction : {"mean", "sum"}, default="mean"
        As in `Reconstruction`.

    References
    ----------
    P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked
    Denoising Autoencoders", JMLR 11, 2010.
    """

    def __init__(
        self, dropout: float = 0.2, noise: float = 0.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        if not 0.0 <= dropout < 1.0 or not noise >= 0.0:
            raise ValueError(
                "The parameters of Denoising must be 0 <= dropout < 1 and noise >= 0. "
                f"Got dropout={dropout!r} and noise={noise!r}."
            )
        self.dropout = dropout
        self.noise = noise

    def view(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Corrupted version of a batch, (b, n_features)."""
        if self.noise:
            x = x + self.noise * torch.empty_like(x).normal_(generator=rng)
        if self.dropout:
            keep = torch.empty_like(x).bernoulli_(1 - self.dropout, generator=rng)
            x = x * keep.div_(1 - self.dropout)
        return x

    def extra_repr(self) -> str:
        """Show the parameters."""
        noise = f"dropout={self.dropout}, noise={self.noise}"
        return f"{noise}, {super().extra_repr()}"


class LayerwiseReconstruction(Reconstruction):
    r"""Reconstruction of the input and of the encoder's hidden layers.

    .. math::

        L_i = \frac{1}{D} \lVert x_i - \hat x_i \rVert^2
        + \beta \sum_l \frac{1}{D_l} \lVert h_i^{(l)} - \hat h_i^{(l)} \rVert^2

    The targets :math:`h^{(l)}` are what the encoder's layers give without dropout,
    constants of the step; the :math:`\hat h^{(l)}` are what the decoder passes through
    on its way from the embedding, noisy where the encoder has dropout. A network
    without ``layer_pairs`` has the first term alone.

    Parameters
    ----------
    layer_weight : float, default=0.1
        :math:`\beta`.

    References
    ----------
    K. Ghasedi Dizaji, A. Herandi, C. Deng, W. Cai and H. Huang, "Deep Clustering via
    Joint Convolutional Autoencoder Embedding and Relative Entropy Minimization",
    ICCV 2017.
    """

    needs_layers = True

    def __init__(self, layer_weight: float = 0.1) -> None:
        super().__init__()
        if not layer_weight >= 0.0:
            raise ValueError(
                "The 'layer_weight' parameter of LayerwiseReconstruction must be in "
                f"the range [0.0, inf). Got {layer_weight!r} instead."
            )
        self.layer_weight = layer_weight

    def loss(self, batch: Batch) -> Tensor:
        """Squared errors of each row, (b,)."""
        errors = super().loss(batch)
        for clean, decoded in zip(batch.layers, batch.layers_hat, strict=True):
            squares = (decoded - clean).square()
            errors = errors + self.layer_weight * squares.mean(dim=1)
        return errors

    def extra_repr(self) -> str:
        """Show the parameters."""
        return f"layer_weight={self.layer_weight}"
