"""Which network, and which of its layers is the embedding: the two protocols.

A *module* is any ``nn.Module`` with ``encode`` and ``decode``. An *architecture* is an
estimator-like object with ``build``, so that a grid can reach its parameters before the
number of features is known.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skdeepcluster.utils._layered import SteepLayer
from skdeepcluster.utils._linear import fast_linear

DEFAULT_EMBEDDING_SIZE = 10


@runtime_checkable
class AutoencoderModule(Protocol):
    """A network with an embedding: ``encode`` into it, ``decode`` out of it."""

    def encode(self, x: Tensor) -> Tensor:
        """Map (b, n_features) to (b, embedding_size)."""

    def decode(self, z: Tensor) -> Tensor:
        """Map (b, embedding_size) to (b, n_features)."""


class Architecture(BaseEstimator):
    """Recipe for an autoencoder; subclasses give `build`."""

    def default_embedding_size(self, n_features: int) -> int:
        """Size of the embedding where the user gives none: 10, as in the papers."""
        return DEFAULT_EMBEDDING_SIZE

    def build(
        self,
        n_features: int,
        embedding_size: int,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Return an untrained module with ``encode`` and ``decode``.

        Parameters
        ----------
        n_features : int
        embedding_size : int
        generator : torch.Generator, optional
            The only source of randomness for the initial weights. A `build` without
            this argument is run with torch's global generator seeded and then put
            back.

        Returns
        -------
        module : nn.Module
        """
        raise NotImplementedError


class Linear(nn.Linear):
    """``nn.Linear`` by the fastest matrix product of the processor.

    On x86 processors large float32 products go to oneDNN instead of MKL, PyTorch's own
    choice, because MKL uses its AVX-512 kernels on Intel processors only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_features) to (b, out_features)."""
        return fast_linear(x, self.weight, self.bias)


class GeneratorDropout(SteepLayer):
    """Dropout that draws from its own generator, not from torch's global one.

    Parameters
    ----------
    p : float
        Probability that an entry is set to zero; the others are divided by 1 - p.

    Attributes
    ----------
    generator : torch.Generator or None
        Given by the engine while it trains; never part of a fitted model.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of `x` in training mode; the identity otherwise."""
        if not self.training or self.p == 0.0:
            return x
        keep = torch.empty_like(x).bernoulli_(1.0 - self.p, generator=self.generator)
        return x * keep.div_(1.0 - self.p)

    def extra_repr(self) -> str:
        """Show the rate in the module's repr."""
        return f"p={self.p}"
