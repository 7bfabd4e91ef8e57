"""The hidden layers of a network: those of the encoder, and the decoder's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skdeepcluster.architectures import ConcatenatedLayers

HiddenLayers = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def hidden_layers(network: nn.Module, x: Tensor, z: Tensor) -> HiddenLayers:
    """Outputs of the encoder's hidden layers for `x`, and of the decoder's for `z`.

    Parameters
    ----------
    network : nn.Module
        In training; the encoder is run as it is outside of training, without dropout.
    x : Tensor of shape (b, n_features)
    z : Tensor of shape (b, embedding_size)

    Returns
    -------
    layers : tuple of Tensor
        Of the encoder, from the input on, without gradient. Empty, as is the other,
        where the network has no ``layer_pairs``.
    layers_hat : tuple of Tensor
        Of the decoder, in the same order.
    """
    if not hasattr(network, "layer_pairs"):
        return (), ()
    pairs = network.layer_pairs()  # type: ignore[operator]
    layers = []
    network.eval()
    with torch.no_grad():
        for encoder, _ in pairs[:-1]:
            x = encoder(x)
            layers.append(x)
    network.train()
    if isinstance(network, ConcatenatedLayers):
        z = network.innermost(z)
    layers_hat = []
    for _, decoder in reversed(pairs[1:]):
        z = decoder(z)
        layers_hat.append(z)
    return tuple(layers), tuple(reversed(layers_hat))
