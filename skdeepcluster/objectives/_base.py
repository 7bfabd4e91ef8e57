"""What is minimised: the interface of every loss, and of every clustering loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skdeepcluster.utils._reduce import Reduce, identity


def in_double(z: Tensor) -> Tensor:
    """Float64 version of `z` for statistics: on the host where the device has none."""
    return z.cpu().double() if z.device.type == "mps" else z.double()


@dataclass(frozen=True)
class Batch:
    """Everything a loss may look at for b rows.

    Parameters
    ----------
    x : Tensor of shape (b, n_features)
        The scaled input, without noise.
    z : Tensor of shape (b, embedding_size)
        The embedding, with gradient.
    x_hat : Tensor of shape (b, n_features) or None
        The reconstruction; None where no loss of the phase asks for it.
    layers : tuple of Tensor
        Outputs of the layers that make up the embedding, where there are several.
    index : Tensor of shape (b,)
        Which rows of the data set these are.
    target : Tensor of shape (b, ...) or None
        The rows' part of what ``refresh`` returned.
    weight : Tensor of shape (b,) or None
        Sample weights.
    """

    x: Tensor
    z: Tensor
    x_hat: Tensor | None = None
    layers: tuple[Tensor, ...] = ()
    index: Tensor | None = None
    target: Tensor | None = None
    weight: Tensor | None = None


class Objective(nn.Module):
    """A loss with its state, in buffers and parameters.

    It knows nothing of networks, optimizers or scikit-learn. Hooks that a loss does
    not need stay as they are here.
    """

    #: Whether ``loss`` reads ``batch.x_hat``: only then is the decoder run.
    needs_reconstruction = False

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Set the state from the embedding `z` of all data, (n, embedding_size)."""

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor | None:
        """Per-sample targets (n, ...) from the embedding of all data, or None."""
        return None

    def loss(self, batch: Batch) -> Tensor:
        """Loss per sample, (b,)."""
        raise NotImplementedError

    def after_step(self, batch: Batch) -> Tensor | None:
        """Move the state after an optimizer step; may return the rows' new targets.

        `batch` holds the embedding under the new weights.
        """
        return None

    def on_epoch(self, epoch: int) -> None:
        """Anneal: called before epoch `epoch` (from 0)."""

    def finish(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Last change of the state, from the final embedding of all data."""


class ClusteringObjective(Objective):
    """A clustering loss: an `Objective` that can assign rows to clusters.

    Attributes
    ----------
    centers : Tensor of shape (n_clusters, embedding_size)
        The cluster centres; empty before ``initialise``.
    """

    centers: Tensor

    def soft_assign(self, z: Tensor) -> Tensor:
        """Probabilities (n, n_clusters) in float64, rows summing to 1."""
        raise NotImplementedError

    def assign(self, z: Tensor) -> Tensor:
        """Labels (n,): by default the most probable cluster."""
        return self.soft_assign(z).argmax(dim=1)

    def reorder(self, order: Tensor) -> None:
        """Renumber the clusters: new cluster j is old cluster ``order[j]``."""
        with torch.no_grad():
            self.centers.copy_(self.centers[order.to(self.centers.device)])
