"""The half of an autoencoder that a classifier needs."""

from __future__ import annotations

import torch

from skdeepcluster.utils._layered import LayeredEncoder


class Encoder(LayeredEncoder):
    """The encoder of an autoencoder, without its decoder.

    Parameters
    ----------
    layers : iterable of nn.Module
        From the input on; kept, not copied.
    """

    def __init__(self, layers):
        super().__init__()
        self.layers = torch.nn.Sequential(*layers)

    @property
    def encoder_layers(self):
        """The layers of ``encode``, in the order in which they are applied."""
        return self.layers

    def encode(self, x):
        """Map (b, n_features) to (b, embedding_size)."""
        return self.layers(x)

    def forward(self, x):
        """Map (b, n_features) to (b, embedding_size)."""
        return self.layers(x)
