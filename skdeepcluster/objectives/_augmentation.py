r"""Self-augmentation: a row and its transformed version have one embedding.

.. math:: L_i = -s\bigl(f(x_i), f(T(x_i))\bigr)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from skdeepcluster.objectives._base import Batch, Objective

SIMILARITIES = ("euclidean", "cosine")


class SelfAugmentation(Objective):
    r"""Distance between the embeddings of a row and of its transformed version.

    Parameters
    ----------
    transform : callable
        ``transform(x, generator)`` maps a batch of scaled rows, (b, n_features), to
        another of the same shape; whatever is random in it should come from
        `generator`, which is on the device of `x`.
    similarity : {"euclidean", "cosine"}, default="euclidean"
        The negative similarity is the squared distance over the number of columns, or
        one minus the cosine.

    References
    ----------
    W. Hu, T. Miyato, S. Tokui, E. Matsumoto and M. Sugiyama, "Learning Discrete
    Representations via Information Maximizing Self-Augmented Training", ICML 2017.
    """

    # `transform` is somebody else's.
    recordable = False

    def __init__(
        self,
        transform: Callable[[Tensor, torch.Generator], Tensor],
        similarity: str = "euclidean",
    ) -> None:
        super().__init__()
        if not callable(transform):
            raise TypeError(
                "The 'transform' parameter of SelfAugmentation must be callable. Got "
                f"{transform!r} instead."
            )
        if similarity not in SIMILARITIES:
            raise ValueError(
                "The 'similarity' parameter of SelfAugmentation must be one of "
                f"{SIMILARITIES}. Got {similarity!r} instead."
            )
        self.transform = transform
        self.similarity = similarity

    def view(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Transformed batch, (b, n_features)."""
        moved = self.transform(x, rng)
        if not isinstance(moved, Tensor) or moved.shape != x.shape:
            got = tuple(moved.shape) if isinstance(moved, Tensor) else type(moved)
            raise ValueError(
                "The 'transform' of SelfAugmentation must give a tensor of the shape "
                f"of its input, {tuple(x.shape)}. Got {got}."
            )
        return moved

    def loss(self, batch: Batch) -> Tensor:
        """Negative similarity of each row, (b,), up to a constant."""
        if batch.z_view is None:
            raise ValueError("SelfAugmentation needs batch.z_view. Got None.")
        if self.similarity == "cosine":
            return 1 - cosine_similarity(batch.z, batch.z_view, dim=1)
        return (batch.z - batch.z_view).square().mean(dim=1)
