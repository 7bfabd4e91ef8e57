"""Max-pooling and its inverse, in a convolutional autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, equal, nn
from torch.nn.functional import interpolate, max_pool2d, max_unpool2d

from skdeepcluster.architectures._base import Linear
from skdeepcluster.architectures._images import ImageShape
from skdeepcluster.architectures._layers import unset
from skdeepcluster.utils._layered import LayeredEncoder


class UnpoolingAutoencoderModule(LayeredEncoder):
    """Layers of an `UnpoolingAutoencoder`, one entry of encoder and decoder per stage.

    Attributes
    ----------
    shapes : list of tuple
        (channels, height, width) of the image and after each stage.
    sides : list of tuple
        (height, width) before each pooling.
    least_share : float
        What the first component of the data counts at least for its learning rate: on
        images of white noise it diverges from about half of this on (measured).
    """

    least_share = 0.2
    # ``decode`` compares values on the host.
    recordable = False

    def __init__(
        self,
        shapes: Sequence[ImageShape],
        kernel_sizes: Sequence[int],
        pool_size: int,
        normalises: bool,
        activation: type[nn.Module],
        embedding_size: int,
    ) -> None:
        super().__init__()
        self.shapes = list(shapes)
        self.sides = [
            (shape[1] - kernel + 1, shape[2] - kernel + 1)
            for shape, kernel in zip(shapes, kernel_sizes, strict=False)
        ]
        self.pool_size = pool_size
        self.normalises = normalises
        channels = [shape[0] for shape in shapes]
        self.encoder = nn.ModuleList(
            nn.Sequential(
                *_normalised(nn.Conv2d, *sizes, normalises=normalises), activation()
            )
            for sizes in zip(channels, channels[1:], kernel_sizes, strict=False)
        )
        # A convolution that takes all that is left of the image is a linear layer.
        sizes = math.prod(shapes[-1]), embedding_size
        self.embedding = nn.Sequential(
            nn.Flatten(), *_normalised(Linear, *sizes, normalises=normalises)
        )
        self.expansion = nn.Sequential(
            unset(Linear, *sizes[::-1], bias=not normalises),
            nn.Unflatten(1, shapes[-1]),
            *([nn.BatchNorm2d(channels[-1])] if normalises else []),
        )
        up = nn.ConvTranspose2d
        self.decoder = nn.ModuleList(
            nn.Sequential(*_normalised(up, *sizes, normalises=normalises), activation())
            for sizes in zip(
                channels[:1:-1], channels[-2:0:-1], kernel_sizes[:0:-1], strict=True
            )
        )
        output = unset(up, channels[1], channels[0], kernel_sizes[0])
        self.decoder.append(nn.Sequential(output))
        # The rows encoded last, in training, and where their maxima were.
        self._switches: tuple[Tensor, list[Tensor]] | None = None

    @property
    def encoder_layers(self) -> nn.Sequential:
        """The layers of ``encode``, in the order in which they are applied."""
        pool = nn.MaxPool2d(self.pool_size, ceil_mode=True)
        stages = [layer for stage in self.encoder for layer in (stage, pool)]
        images = nn.Unflatten(1, self.shapes[0])
        return nn.Sequential(images, *stages, self.embedding)

    def encode(self, x: Tensor) -> Tensor:
        """Map (b, n_features) to (b, embedding_size)."""
        self._switches = None
        if self.training and self.normalises and len(x) == 1:
            raise ValueError(
                "UnpoolingAutoencoder with batch_normalisation=True cannot be trained "
                "on batches of one row. Got batch_size=1: take a larger one, or "
                "batch_normalisation=False."
            )
        h = x.unflatten(1, self.shapes[0])
        switches = []
        for stage in self.encoder:
            h, where = max_pool2d(
                stage(h), self.pool_size, ceil_mode=True, return_indices=True
            )
            switches.append(where)
        z: Tensor = self.embedding(h)
        if self.training:
            self._switches = z.detach(), switches
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Map (b, embedding_size) to (b, n_features)."""
        switches = self._switches_of(z)
        h = self.expansion(z)
        for i, stage in enumerate(self.decoder, start=1):
            where = switches[-i] if switches else None
            h = stage(unpool(h, self.pool_size, self.sides[-i], where))
        return h.flatten(1)  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> UnpoolingAutoencoderModule:
        """Set the mode; outside of training no places of maxima are kept."""
        if not mode:
            self._switches = None
        return super().train(mode)

    def _switches_of(self, z: Tensor) -> list[Tensor] | None:
        """Places of the maxima of the rows that `z` embeds, if they are known."""
        if not self.training or self._switches is None:
            return None
        encoded, switches = self._switches
        known = equal(z.detach().to(encoded.dtype), encoded)
        return switches if known else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_switches": None}


def unpool(
    h: Tensor, pool_size: int, sides: tuple[int, ...], where: Tensor | None = None
) -> Tensor:
    """Undo max-pooling with ``ceil_mode``.

    Parameters
    ----------
    h : Tensor of shape (b, channels, height, width)
        Values of the windows.
    pool_size : int
        Side of the windows.
    sides : tuple of int
        Height and width before pooling.
    where : Tensor of shape (b, channels, height, width), optional
        Place of each window's value in the larger image, as ``max_pool2d`` returns it;
        all other places get zero. None spreads each value evenly over its window.

    Returns
    -------
    unpooled : Tensor of shape (b, channels, *sides)
    """
    if where is not None:
        return max_unpool2d(h, where, (pool_size, pool_size), output_size=sides)
    repeated = interpolate(h / pool_size**2, scale_factor=float(pool_size))
    return repeated[..., : sides[0], : sides[1]]


def _normalised(
    kind: type[nn.Module], n_inputs: int, n_outputs: int, *args: Any, normalises: bool
) -> list[nn.Module]:
    """Layer, and batch normalisation, which has the bias, where asked."""
    layer = unset(kind, n_inputs, n_outputs, *args, bias=not normalises)
    norm = nn.BatchNorm1d if kind is Linear else nn.BatchNorm2d
    return [layer, norm(n_outputs)] if normalises else [layer]
