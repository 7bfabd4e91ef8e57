"""The convolutional autoencoder of DCEC and DEKM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skdeepcluster.architectures._base import Architecture, GeneratorDropout, Linear
from skdeepcluster.architectures._images import (
    ImageShape,
    check_features,
    check_flag,
    check_image_shape,
    check_stages,
    too_small,
)
from skdeepcluster.architectures._layers import (
    ACTIVATIONS,
    INITIALISATIONS,
    check_dropout,
    check_options,
    initialise,
    unset,
)
from skdeepcluster.utils._layered import LayeredEncoder

_STRIDE = 2


class ConvAutoencoder(Architecture):
    """Convolutional autoencoder for rows that are images.

    Every stage is a convolution of stride 2, which halves the image; a linear layer
    gives the embedding. The decoder mirrors it with transposed convolutions that give
    back exactly the image's shape. The embedding and the reconstruction are linear;
    every other layer is followed by the activation.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) or (channels, height, width). A row holds the pixels of an
        image, channel after channel.
    channels : tuple of int, default=(32, 64, 128)
        Channels after each convolution.
    kernel_sizes : tuple of int, default=(5, 5, 3)
        Sides of the kernels. Images are padded so that a stage halves them; as in the
        papers, the last stage is not padded, unless all stages halve both sides of the
        image without rest (28 gives 14, 7 and 3; 32 gives 16, 8 and 4) or nothing
        would be left.
    activation : {"relu", "leaky_relu", "gelu", "elu", "tanh", "sigmoid", \
            "identity"}, default="relu"
        Activation of the hidden layers.
    initialisation : {"uniform", "normal", "glorot", "he"}, default="uniform"
        As in :class:`MLPAutoencoder`. ``fan_in`` is the number of products that an
        output sums: a quarter of the kernel in a transposed convolution of stride 2.
    dropout : tuple of float, default=()
        Rates of dropout in training, in [0, 1): on the input, then after each
        convolution, the last ones 0 where left out. ``(0.1, 0.1)`` is the noisy encoder
        of DEPICT.
    channels_last : bool, default=True
        Whether the kernels lie in memory with their channels last. The answers are
        those of the other order but for rounding; on a CPU training is as fast
        (measured: 1.00 of the time, in float32 and in bfloat16).

    See Also
    --------
    UnpoolingAutoencoder : Pooling where the convolutions here have strides.

    Notes
    -----
    Layer-wise pretraining keeps the output of a stage for all rows: 25 kB a row after
    the first one for images of 28 x 28.

    References
    ----------
    .. [1] X. Guo, X. Liu, E. Zhu and J. Yin, "Deep Clustering with Convolutional
       Autoencoders", ICONIP 2017

    .. [2] W. Guo, K. Lin and W. Ye, "Deep Embedded K-Means Clustering", ICDM workshops
       2021, https://arxiv.org/abs/2109.15149

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.architectures import ConvAutoencoder
    >>> module = ConvAutoencoder((28, 28)).build(784, 10)
    >>> z = module.encode(torch.ones(5, 784))
    >>> z.shape, module.decode(z).shape
    (torch.Size([5, 10]), torch.Size([5, 784]))
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        channels: tuple[int, ...] = (32, 64, 128),
        kernel_sizes: tuple[int, ...] = (5, 5, 3),
        activation: str = "relu",
        initialisation: str = "uniform",
        dropout: tuple[float, ...] = (),
        channels_last: bool = True,
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.kernel_sizes = kernel_sizes
        self.activation = activation
        self.initialisation = initialisation
        self.dropout = dropout
        self.channels_last = channels_last

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
            Number of inputs: that of the pixels of `image_shape`.
        embedding_size : int
            Number of units of the embedding.
        generator : torch.Generator, optional
            Source of the initial weights; a fresh, unseeded one by default.

        Returns
        -------
        module : ConvAutoencoderModule
        """
        check_options(self, activation=[*ACTIVATIONS], initialisation=INITIALISATIONS)
        check_flag(self, "channels_last")
        check_stages(self, self.channels, self.kernel_sizes)
        check_dropout(self.dropout, 1 + len(self.channels))
        shape = check_image_shape(self.image_shape)
        check_features(self.image_shape, n_features)
        module = ConvAutoencoderModule(
            shape,
            self.channels,
            self.kernel_sizes,
            ACTIVATIONS[self.activation],
            embedding_size,
            self.dropout,
        )
        initialise(module, self.initialisation, generator)
        if self.channels_last:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module


class ConvAutoencoderModule(LayeredEncoder):
    """Layers of a `ConvAutoencoder`, one entry of encoder and decoder per stage."""

    def __init__(
        self,
        image_shape: ImageShape,
        channels: Sequence[int],
        kernel_sizes: Sequence[int],
        activation: type[nn.Module],
        embedding_size: int,
        dropout: Sequence[float] = (),
    ) -> None:
        super().__init__()
        stages = _plan(image_shape, channels, kernel_sizes)
        self.shapes = [image_shape, *(stage.smaller for stage in stages)]
        pairs = [stage.layers(activation) for stage in stages]
        size = math.prod(self.shapes[-1])
        pairs[0][1].pop(-1)  # the reconstruction is linear
        _add_dropout([down for down, _ in pairs], dropout)
        self.encoder = nn.Sequential(*(down for down, _ in pairs))
        self.embedding = unset(Linear, size, embedding_size)
        self.expansion = nn.Sequential(
            unset(Linear, embedding_size, size), activation()
        )
        self.decoder = nn.Sequential(*(up for _, up in reversed(pairs)))

    @property
    def encoder_layers(self) -> nn.Sequential:
        """The layers of ``encode``, in the order in which they are applied."""
        images = nn.Unflatten(1, self.shapes[0])
        return nn.Sequential(images, self.encoder, nn.Flatten(), self.embedding)

    def encode(self, x: Tensor) -> Tensor:
        """Map (b, n_features) to (b, embedding_size)."""
        h = self.encoder(x.unflatten(1, self.shapes[0]))
        return self.embedding(h.flatten(1))  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Map (b, embedding_size) to (b, n_features)."""
        h = self.expansion(z).unflatten(1, self.shapes[-1])
        return self.decoder(h).flatten(1)  # type: ignore[no-any-return]

    def layer_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Encoder layers from the input on, each with the decoder layer undoing it.

        They map rows to rows.
        """
        stages = zip(
            zip(self.shapes, self.encoder, strict=False),
            zip(self.shapes[1:], reversed(self.decoder), strict=True),
            strict=True,
        )
        pairs = [(_on_rows(*down), _on_rows(*up)) for down, up in stages]
        return [*pairs, (self.embedding, self.expansion)]


def _add_dropout(stages: list[nn.Sequential], rates: Sequence[float]) -> None:
    """Dropout before the first stage, then after each, for as many as have a rate."""
    if rates and rates[0]:
        stages[0].insert(0, GeneratorDropout(rates[0]))
    for stage, rate in zip(stages, rates[1:], strict=False):
        if rate:
            stage.append(GeneratorDropout(rate))


def _on_rows(shape: ImageShape, layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, shape), layer, nn.Flatten())


@dataclass(frozen=True)
class _Stage:
    """A convolution of stride 2, and the transposed one that undoes it."""

    shape: ImageShape
    smaller: ImageShape
    kernel: int
    padding: int

    def layers(
        self, activation: type[nn.Module]
    ) -> tuple[nn.Sequential, nn.Sequential]:
        """Both convolutions, each with the activation after it."""
        c, *sides = self.shape
        smaller_c, *smaller_sides = self.smaller
        options = (self.kernel, _STRIDE, self.padding)
        missing = tuple(
            a - (_STRIDE * (b - 1) + self.kernel - 2 * self.padding)
            for a, b in zip(sides, smaller_sides, strict=True)
        )
        down = unset(nn.Conv2d, c, smaller_c, *options)
        up = unset(nn.ConvTranspose2d, smaller_c, c, *options, missing)
        return nn.Sequential(down, activation()), nn.Sequential(up, activation())


def _plan(
    image_shape: ImageShape, channels: Sequence[int], kernel_sizes: Sequence[int]
) -> list[_Stage]:
    """Return the stages that lead from an image to the smallest one."""
    halves = all(side % _STRIDE ** len(channels) == 0 for side in image_shape[1:])
    shape, stages = image_shape, []
    for i, (n_channels, kernel) in enumerate(zip(channels, kernel_sizes, strict=True)):
        pads = i + 1 < len(channels) or halves or min(shape[1:]) < kernel
        padding = (kernel - 1) // 2 if pads else 0
        height, width = ((s + 2 * padding - kernel) // _STRIDE + 1 for s in shape[1:])
        if min(height, width) < 1:
            raise too_small(image_shape, kernel_sizes)
        stages.append(_Stage(shape, (n_channels, height, width), kernel, padding))
        shape = stages[-1].smaller
    return stages
