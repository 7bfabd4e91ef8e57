"""An embedding between -1 and 1."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from skdeepcluster.utils._layered import (
    LayeredEncoder,
    SteepLayer,
    encoder_layers_of,
)


class BoundedEmbedding(LayeredEncoder):
    r"""Autoencoder whose embedding is squeezed into (-1, 1) by tanh.

    .. math:: z = \tanh(f(x) / s), \qquad \hat x = g(s z)

    Parameters
    ----------
    network : nn.Module
        With ``encode`` and ``decode``; kept, not copied.
    scale : float, default=1.0
        s. Where the decoder was trained on embeddings without bounds, a scale beyond
        their size changes little: tanh is almost linear near 0.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.architectures import BoundedEmbedding, MLPAutoencoder
    >>> network = BoundedEmbedding(MLPAutoencoder(hidden_layer_sizes=(8,)).build(4, 2))
    >>> bool(network.encode(1e6 * torch.ones(3, 4)).abs().max() <= 1)
    True
    """

    def __init__(self, network: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.squeeze = nn.Sequential(Times(1 / scale), nn.Tanh())
        self.stretch = Times(scale)

    @property
    def encoder_layers(self) -> nn.Sequential | None:
        """The layers of ``encode``; None where those of the network are not known."""
        layers = encoder_layers_of(self.network)
        return None if layers is None else nn.Sequential(*layers, *self.squeeze)

    def encode(self, x: Tensor) -> Tensor:
        """Map (b, n_features) to (b, embedding_size), in [-1, 1]."""
        return self.squeeze(self.network.encode(x))  # type: ignore[no-any-return, operator]

    def decode(self, z: Tensor) -> Tensor:
        """Map (b, embedding_size) to (b, n_features)."""
        return self.network.decode(self.stretch(z))  # type: ignore[no-any-return, operator]

    @property
    def layer_pairs(self) -> Callable[[], list[tuple[nn.Module, nn.Module]]]:
        """Pairs of layers, for networks that have them."""
        pairs = self.network.layer_pairs  # an AttributeError where there are none

        def bounded() -> list[tuple[nn.Module, nn.Module]]:
            *outer, (encoder, decoder) = pairs()  # type: ignore[operator, misc]
            inner = nn.Sequential(encoder, self.squeeze)
            return [*outer, (inner, nn.Sequential(self.stretch, decoder))]

        return bounded


class Times(SteepLayer):
    """Multiplies by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    @property
    def steepness(self) -> float:
        """Size of the factor."""
        return abs(self.factor)

    def forward(self, x: Tensor) -> Tensor:
        """`x` times the factor."""
        return x * self.factor

    def extra_repr(self) -> str:
        """The factor, for ``repr``."""
        return f"factor={self.factor}"
