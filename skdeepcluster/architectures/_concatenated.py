"""An embedding of several layers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skdeepcluster.utils._numbers import is_integer


class ConcatenatedLayers(nn.Module):
    """Autoencoder whose embedding is one or several layers of its encoder.

    The outputs of the layers stand side by side, from the input on. ``decode`` goes on
    from the deepest of them: through what is left of the encoder, then the decoder.

    Parameters
    ----------
    network : nn.Module
        With ``layer_pairs``, as `MLPAutoencoder` builds it; kept, not copied.
    n_features : int
        Inputs of the network.
    layers : sequence of int
        Which layers of the encoder, counted from 0, or from -1, the innermost,
        backwards.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.architectures import ConcatenatedLayers, MLPAutoencoder
    >>> network = MLPAutoencoder(hidden_layer_sizes=(8, 5)).build(4, 2)
    >>> both = ConcatenatedLayers(network, 4, (-2, -1))
    >>> both.encode(torch.zeros(3, 4)).shape, both.decode(torch.zeros(3, 7)).shape
    (torch.Size([3, 7]), torch.Size([3, 4]))
    """

    def __init__(
        self, network: nn.Module, n_features: int, layers: Sequence[int]
    ) -> None:
        super().__init__()
        self.network = network
        self.layers = _positions(layers, len(self._encoder()))
        self.width = self._deepest_width(n_features)

    def encode(self, x: Tensor) -> Tensor:
        """Map (b, n_features) to the chosen layers' outputs, side by side."""
        return torch.cat(self._outputs(x), dim=1)

    def decode(self, z: Tensor) -> Tensor:
        """Map embeddings to (b, n_features), by way of the deepest chosen layer."""
        return self.network.decode(self.innermost(z))  # type: ignore[no-any-return, operator]

    def innermost(self, z: Tensor) -> Tensor:
        """Embedding of the network itself, by way of the deepest chosen layer."""
        x = z[:, -self.width :]
        for layer in self._encoder()[self.layers[-1] + 1 :]:
            x = layer(x)
        return x

    def layer_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Pairs of layers of the whole network."""
        return self.network.layer_pairs()  # type: ignore[no-any-return, operator]

    def _outputs(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for i, layer in enumerate(self._encoder()[: self.layers[-1] + 1]):
            x = layer(x)
            if i in self.layers:
                outputs.append(x)
        return outputs

    @torch.no_grad()
    def _deepest_width(self, n_features: int) -> int:
        mode = self.training
        self.eval()
        parameter = next(self.network.parameters())
        width = self._outputs(parameter.new_zeros(1, n_features))[-1].shape[1]
        self.train(mode)
        return int(width)

    def _encoder(self) -> list[nn.Module]:
        if not hasattr(self.network, "layer_pairs"):
            raise ValueError(
                "An embedding of chosen layers needs an architecture whose module has "
                "'layer_pairs', as MLPAutoencoder's. "
                f"Got {type(self.network).__name__}."
            )
        return [encoder for encoder, _ in self.layer_pairs()]


def _positions(layers: Sequence[Any], n_layers: int) -> list[int]:
    """Positions from 0, in order, each once."""
    fits = [is_integer(i) and -n_layers <= int(i) < n_layers for i in layers]
    if not fits or not all(fits):
        raise ValueError(
            "The layers of the embedding must be at least one int in "
            f"[{-n_layers}, {n_layers}), as the encoder has {n_layers}. "
            f"Got {tuple(layers)!r}."
        )
    return sorted({i % n_layers for i in layers})
