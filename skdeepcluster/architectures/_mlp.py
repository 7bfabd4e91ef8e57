"""The fully connected autoencoder of the deep clustering papers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skdeepcluster.architectures._base import Architecture, GeneratorDropout, Linear
from skdeepcluster.architectures._layers import (
    ACTIVATIONS,
    INITIALISATIONS,
    check_options,
    check_sizes,
    initialise,
    is_rate,
    unset,
)
from skdeepcluster.utils._layered import LayeredEncoder


class MLPAutoencoder(Architecture):
    """Fully connected autoencoder with a mirrored decoder.

    The embedding and the reconstruction are linear; every other layer is followed by
    the activation (and by dropout, where a rate is given).

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(500, 500, 2000)
        Widths between input and embedding; the decoder mirrors them. ``()`` gives a
        linear autoencoder.
    activation : {"relu", "leaky_relu", "gelu", "elu", "tanh", "sigmoid", \
            "identity"}, default="relu"
        Activation of the hidden layers.
    initialisation : {"uniform", "normal", "glorot", "he"}, default="uniform"
        "uniform": weights and biases from U(-a, a) with a = 1 / sqrt(fan_in);
        "normal": weights from N(0, 0.01^2) and zero biases, as in the DEC paper;
        "glorot", "he": uniform with these names' limits and zero biases.
    dropout : float, default=0.0
        Rate of dropout after each hidden activation, in [0, 1).

    Examples
    --------
    >>> from skdeepcluster.architectures import MLPAutoencoder
    >>> MLPAutoencoder(hidden_layer_sizes=(8,)).build(4, 2)
    MLPAutoencoderModule(
      (encoder): Sequential(
        (0): Sequential(
          (0): Linear(in_features=4, out_features=8, bias=True)
          (1): ReLU()
        )
        (1): Sequential(
          (0): Linear(in_features=8, out_features=2, bias=True)
        )
      )
      (decoder): Sequential(
        (0): Sequential(
          (0): Linear(in_features=2, out_features=8, bias=True)
          (1): ReLU()
        )
        (1): Sequential(
          (0): Linear(in_features=8, out_features=4, bias=True)
        )
      )
    )
    """

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (500, 500, 2000),
        activation: str = "relu",
        initialisation: str = "uniform",
        dropout: float = 0.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.initialisation = initialisation
        self.dropout = dropout

    def build(
        self,
        n_features: int,
        embedding_size: int,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Return the untrained autoencoder.

        Parameters
        ----------
        n_features : int
            Number of inputs.
        embedding_size : int
            Number of units of the embedding; may exceed `n_features`.
        generator : torch.Generator, optional
            Source of the initial weights; a fresh, unseeded one by default.

        Returns
        -------
        module : MLPAutoencoderModule
        """
        self._check_parameters()
        sizes = (n_features, *self.hidden_layer_sizes, embedding_size)
        module = MLPAutoencoderModule(sizes, ACTIVATIONS[self.activation], self.dropout)
        initialise(module, self.initialisation, generator)
        return module

    def n_parameters(self, n_features: int, embedding_size: int) -> int:
        """Number of weights and biases of what `build` returns.

        Parameters
        ----------
        n_features : int
        embedding_size : int

        Returns
        -------
        n_parameters : int
        """
        sizes = (n_features, *self.hidden_layer_sizes, embedding_size)
        pairs = list(zip(sizes, sizes[1:], strict=False))
        return sum(2 * a * b + a + b for a, b in pairs)

    def _check_parameters(self) -> None:
        check_options(self, activation=[*ACTIVATIONS], initialisation=INITIALISATIONS)
        if not is_rate(self.dropout):
            raise ValueError(
                "The 'dropout' parameter of MLPAutoencoder must be in [0, 1). "
                f"Got {self.dropout!r} instead."
            )
        check_sizes("hidden_layer_sizes", self.hidden_layer_sizes)


class MLPAutoencoderModule(LayeredEncoder):
    """Layers of a `MLPAutoencoder`, one entry of encoder and decoder per layer."""

    def __init__(
        self, sizes: Sequence[int], activation: type[nn.Module], dropout: float
    ) -> None:
        super().__init__()
        self.encoder = _stack(sizes, activation, dropout)
        self.decoder = _stack(sizes[::-1], activation, dropout)

    @property
    def encoder_layers(self) -> nn.Sequential:
        """The layers of ``encode``, in the order in which they are applied."""
        return self.encoder

    def encode(self, x: Tensor) -> Tensor:
        """Map (b, n_features) to (b, embedding_size)."""
        return self.encoder(x)  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Map (b, embedding_size) to (b, n_features)."""
        return self.decoder(z)  # type: ignore[no-any-return]

    def layer_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Encoder layers from the input on, each with the decoder layer undoing it."""
        return list(zip(self.encoder, reversed(self.decoder), strict=True))


def _stack(
    sizes: Sequence[int], activation: type[nn.Module], dropout: float
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
        parts: list[nn.Module] = [unset(Linear, fan_in, fan_out)]
        if len(layers) < len(sizes) - 2:
            parts.append(activation())
            if dropout:
                parts.append(GeneratorDropout(dropout))
        layers.append(nn.Sequential(*parts))
    return nn.Sequential(*layers)
