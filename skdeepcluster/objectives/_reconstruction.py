r"""Reconstruction: the usual non-clustering loss.

.. math:: L_i = \frac{1}{D} \lVert x_i - g(f(x_i)) \rVert^2
"""

from __future__ import annotations

from torch import Tensor

from skdeepcluster.objectives._base import Batch, Objective


class Reconstruction(Objective):
    r"""Squared error between the clean input and its reconstruction.

    .. math:: L_i = \frac{1}{D} \sum_{j=1}^{D} (x_{ij} - \hat x_{ij})^2

    The mean over the D features keeps one learning rate right for any D. With X
    divided by its root mean square the loss of predicting the mean is 1.
    """

    needs_reconstruction = True

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of each row, (b,)."""
        if batch.x_hat is None or batch.x_hat.shape != batch.x.shape:
            got = None if batch.x_hat is None else tuple(batch.x_hat.shape)
            raise ValueError(
                "Reconstruction needs batch.x_hat of the shape of batch.x, "
                f"{tuple(batch.x.shape)}. Got {got}."
            )
        return (batch.x_hat - batch.x).square().mean(dim=1)
