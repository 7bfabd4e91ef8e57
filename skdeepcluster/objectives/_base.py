"""What is minimised: the interface of every loss, and of every clustering loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skdeepcluster.kmeans import lloyd
from skdeepcluster.kmeans._assignment import nearest_labels
from skdeepcluster.kmeans._rows import check_rows
from skdeepcluster.objectives._starts import Start, first_partition
from skdeepcluster.utils._reduce import Reduce, identity

# Rows per block of the (rows, k, d) differences taken over all data.
_BLOCK_ELEMENTS = 1 << 22


def in_double(z: Tensor) -> Tensor:
    """Float64 version of `z` for statistics: on the host where the device has none."""
    return z.cpu().double() if z.device.type == "mps" else z.double()


def like(state: Tensor, z: Tensor) -> Tensor:
    """`state` on the device of `z`, then in its dtype: not every device has float64."""
    return state.to(z.device).to(z.dtype)


def squared_distances(z: Tensor, centers: Tensor) -> Tensor:
    """Squared distances (n, k) from explicit differences, with gradient."""
    return (z.unsqueeze(1) - centers).square().sum(dim=2)


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
        Outputs of the encoder's hidden layers without dropout, from the input on;
        empty where no loss of the phase asks for them. Without gradient.
    layers_hat : tuple of Tensor
        What the decoder passes through on its way from `z`, in the order of `layers`.
    index : Tensor of shape (b,)
        Which rows of the data set these are.
    target : Tensor of shape (b, ...) or None
        The rows' part of what ``refresh`` returned.
    weight : Tensor of shape (b,) or None
        Sample weights.
    z_view : Tensor of shape (b, embedding_size) or None
        The embedding of what the loss's own ``view`` made of the input; `x_hat` is then
        its reconstruction.
    """

    x: Tensor
    z: Tensor
    x_hat: Tensor | None = None
    layers: tuple[Tensor, ...] = ()
    layers_hat: tuple[Tensor, ...] = ()
    index: Tensor | None = None
    target: Tensor | None = None
    weight: Tensor | None = None
    z_view: Tensor | None = None


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor is, so that one that was read can be told from another.

    Parameters
    ----------
    shape : tuple of int
    dtype : torch.dtype, optional
        That in which the network computes by default.
    below : int, optional
        Integers are from 0 on, and less than this.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None = None
    below: int | None = None


class Objective(nn.Module):
    """A loss with its state, in buffers and parameters.

    It knows nothing of networks, optimizers or scikit-learn. A subclass overrides
    `loss` and only those hooks that it needs.
    """

    #: Whether ``loss`` reads ``batch.x_hat``: only then is the decoder run.
    needs_reconstruction = False
    #: Whether ``loss`` reads ``batch.layers``.
    needs_layers = False

    def steepness(self, n_features: int) -> float:
        """Curvature, in units of a mean squared reconstruction's; 0 for other losses.

        The largest stable learning rate of gradient descent is inverse to it.
        """
        return 0.0

    def prepare(self, x: Any) -> None:
        """Look at the scaled input of all data, (n, n_features), before ``initialise``.

        Only for what the embedding cannot tell, such as neighbours in the input. `x` is
        a tensor, or sparse rows with ``x[start:stop]``, dense, and ``x.uncentred()``.
        """

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Set the state from the embedding `z` of all data, (n, embedding_size)."""

    def view(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Another version of a batch of inputs, (b, n_features): noisy, or transformed.

        Where a loss has it, ``batch.z_view`` and ``batch.x_hat`` are those of this
        version. `rng` is on the device of `x`.
        """
        raise NotImplementedError

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor | None:
        """Per-sample targets (n, ...) from the embedding of all data, or None."""
        return None

    def loss(self, batch: Batch) -> Tensor:
        """Loss per sample, (b,)."""
        raise NotImplementedError

    def _target_of(self, batch: Batch) -> Tensor:
        """The rows' targets, for a loss that cannot do without."""
        if batch.target is None:
            raise ValueError(
                f"{type(self).__name__} needs batch.target, from refresh. Got None."
            )
        return batch.target

    def after_step(self, batch: Batch) -> Tensor | None:
        """Move the state after an optimizer step; may return the rows' new targets.

        `batch` holds the embedding under the new weights.
        """
        return None

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """Tensors of the state that rows give another shape, by their names.

        `n_rows` is the number of all rows, `size` that of the columns of the embedding.
        A state that was saved is only taken if it is like this.
        """
        return {}

    def expected_target(self, n_rows: int, size: int) -> TensorSpec | None:
        """What ``refresh`` gives; None where that is not known, or nothing."""
        return None

    def project(self) -> None:
        """Bring parameters back into their bounds, after every optimizer step."""

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

    Centres start as the means of first clusters of the embedding, which is all that
    `initialise` does here.

    Parameters
    ----------
    n_clusters : int
    n_init : int, default=20
        Restarts of the k-means that gives the first centres.

    Attributes
    ----------
    centers : Tensor of shape (n_clusters, embedding_size)
        The cluster centres; empty before ``initialise``.
    start : callable or None
        ``start(z, seed)`` gives the first labels (n,) of the embedding (n, d), both
        numpy arrays, before ``initialise``; None for k-means.
    """

    centers: Tensor
    #: Whether the optimizer moves the centres; else they are a buffer.
    learns_centers = True
    #: Whether ``update_centers`` is called before every ``refresh``.
    alternates = False

    def __init__(self, n_clusters: int, n_init: int = 20) -> None:
        super().__init__()
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.start: Start | None = None
        self._put_centers(torch.empty(0))

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Centres of the first clusters of `z`."""
        self._start_clusters(z, weight, rng, reduce)

    def _start_clusters(
        self, z: Tensor, weight: Tensor | None, rng: torch.Generator, reduce: Reduce
    ) -> Tensor:
        """Set the first centres; returns the first labels, (n,)."""
        labels, centers = first_partition(
            z, self.n_clusters, weight, rng, reduce, self.n_init, self.start
        )
        self._put_centers(centers.to(z))
        return labels

    def recluster(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Forget the centres: take those of first clusters of `z`."""
        self.initialise(z, weight, rng, reduce)

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The centres."""
        return {"centers": TensorSpec((self.n_clusters, size))}

    def _centers_like(self, z: Tensor) -> Tensor:
        return like(self.centers, z)

    def _put_centers(self, centers: Tensor) -> None:
        if self.learns_centers:
            self.centers = nn.Parameter(centers)
        else:
            self.register_buffer("centers", centers)

    def alternate(self) -> None:
        """Take the centres from the optimizer: k-means will move them, in turn with it.

        Without effect where the optimizer does not have them.
        """
        if self.learns_centers:
            self.learns_centers, self.alternates = False, True
            centers = self.centers.detach()
            del self.centers
            self._put_centers(centers)

    @torch.no_grad()
    def update_centers(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Move the centres to their fixed point of k-means; returns labels, (n,)."""
        found = lloyd(z, self.centers, weight=weight, reduce=reduce)
        self.centers.copy_(found.centers)
        return found.labels.to(z.device)

    @property
    def is_soft(self) -> bool:
        """Whether there are soft assignments."""
        return type(self).log_q is not ClusteringObjective.log_q

    @property
    def takes_nearest(self) -> bool:
        """Whether rows belong to the nearest centre, so that its move moves them."""
        return not self.is_soft

    def log_q(self, z: Tensor) -> Tensor:
        """Log of the soft assignments (n, n_clusters), with gradient, in z's dtype."""
        raise NotImplementedError

    @torch.no_grad()
    def log_q_blocks(self, z: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Slices of many rows, with the log of their soft assignments in float64."""
        n_rows = max(1, _BLOCK_ELEMENTS // self.centers.numel())
        for start in range(0, len(z), n_rows):
            rows = slice(start, start + n_rows)
            yield rows, self.log_q(in_double(z[rows]))

    def log_soft_assign(self, z: Tensor) -> Tensor:
        """Log of the soft assignments (n, n_clusters) of many rows, in float64."""
        return torch.cat([log_q for _, log_q in self.log_q_blocks(z)])

    def soft_assign(self, z: Tensor) -> Tensor:
        """Soft assignments (n, n_clusters) in float64, rows summing to 1."""
        return self.log_soft_assign(z).exp()

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Labels (n,): that of the nearest centre, or the most probable cluster."""
        if self.takes_nearest:
            # Soft assignments may be so flat that they round to the same for all.
            x = check_rows(z)
            return nearest_labels(x, in_double(self.centers).to(x.device))
        blocks = self.log_q_blocks(z)
        return torch.cat([log_q.exp().argmax(dim=1) for _, log_q in blocks])

    def reorder(self, order: Tensor) -> None:
        """Renumber the clusters: new cluster j is old cluster ``order[j]``."""
        with torch.no_grad():
            self.centers.copy_(self.centers[order.to(self.centers.device)])
