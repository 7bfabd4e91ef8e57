"""No network: the embedding is the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skdeepcluster.architectures._base import Architecture
from skdeepcluster.utils._layered import LayeredEncoder


class IdentityArchitecture(Architecture):
    """The embedding is X itself; only centres are learnt.

    For data that are good embeddings already, and for the shallow version of a method.

    Examples
    --------
    >>> from skdeepcluster.architectures import IdentityArchitecture
    >>> IdentityArchitecture().build(4, 4)
    IdentityModule()
    """

    def default_embedding_size(self, n_features: int) -> int:
        """Return `n_features`."""
        return n_features

    def build(
        self,
        n_features: int,
        embedding_size: int,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Return a module whose ``encode`` and ``decode`` change nothing.

        Parameters
        ----------
        n_features : int
            Number of inputs.
        embedding_size : int
            Must equal `n_features`.
        generator : torch.Generator, optional
            Not used: there are no weights.

        Returns
        -------
        module : nn.Module
        """
        if embedding_size != n_features:
            raise ValueError(
                "IdentityArchitecture needs embedding_size == n_features. "
                f"Got embedding_size={embedding_size} and n_features={n_features}."
            )
        return IdentityModule()


class IdentityModule(LayeredEncoder):
    """``encode`` and ``decode`` that change nothing."""

    @property
    def encoder_layers(self) -> nn.Sequential:
        """The layers of ``encode``: none."""
        return nn.Sequential()

    def encode(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def decode(self, z: Tensor) -> Tensor:
        """Return `z`."""
        return z
