"""The convolutional autoencoder with pooling of Aljalbout et al. (2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skdeepcluster.architectures._base import Architecture
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
    check_options,
    check_sizes,
    initialise,
    is_size,
)
from skdeepcluster.architectures._unpooling_module import UnpoolingAutoencoderModule

_LARGE_SIDE = 64
_LEAST_SIDE = 4


class UnpoolingAutoencoder(Architecture):
    """Convolutional autoencoder with max-pooling, undone at the places of the maxima.

    Every stage is a convolution without padding, the activation and max-pooling; a last
    convolution, linear, takes all that is left of the image and gives the embedding.
    The decoder mirrors it: in training, a value goes back to where the maximum of its
    window was when these rows were encoded, with zeros around it. For an embedding
    that was not just encoded these places are not known, and a value is spread evenly
    over its window, the average over all places. The same holds outside of training,
    where the reconstruction of a row depends on its embedding alone.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) or (channels, height, width). A row holds the pixels of an
        image, channel after channel.
    channels : tuple of int or "auto", default="auto"
        Channels after each stage. "auto" takes those of the paper: 50 in each; for
        images of 64 x 64 and more 20, and 40 in the last.
    kernel_sizes : tuple of int or "auto", default="auto"
        Sides of the kernels. "auto" takes those of the paper: 5, after a first 9 for
        images of 64 x 64 and more, and as many stages (where `channels` leaves that
        open) as leave an image of at least 4 x 4.
    pool_size : int, default=2
        Side of the windows of max-pooling; the last one may be cut off by the border.
    batch_normalisation : bool, default=True
        Whether to normalise over the batch after each convolution but the last one of
        the decoder; that of the embedding too, as in the paper's code.
    activation : {"relu", "leaky_relu", "gelu", "elu", "tanh", "sigmoid", \
            "identity"}, default="relu"
        Activation of each stage.
    initialisation : {"uniform", "normal", "glorot", "he"}, default="glorot"
        As in :class:`MLPAutoencoder`.

    See Also
    --------
    ConvAutoencoder : Convolutions with strides; faster.

    Notes
    -----
    The output is linear. The paper has a rectifier there, which suits pixels in [0, 1]
    but not rows that are centred, as those that the estimators of this package train
    with.

    The default size of the embedding is that of the paper: 120, or 320 for images of
    64 x 64 and more.

    Its module has no ``layer_pairs``: neither layer-wise pretraining nor an embedding
    of several layers.

    References
    ----------
    .. [1] E. Aljalbout, V. Golkov, Y. Siddiqui and D. Cremers, "Clustering with Deep
       Learning: Taxonomy and New Methods", 2018, https://arxiv.org/abs/1801.07648

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.architectures import UnpoolingAutoencoder
    >>> module = UnpoolingAutoencoder((28, 28)).build(784, 120)
    >>> [shape[1:] for shape in module.shapes]
    [(28, 28), (12, 12), (4, 4)]
    >>> z = module.encode(torch.ones(5, 784))
    >>> z.shape, module.decode(z).shape
    (torch.Size([5, 120]), torch.Size([5, 784]))
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        channels: tuple[int, ...] | str = "auto",
        kernel_sizes: tuple[int, ...] | str = "auto",
        pool_size: int = 2,
        batch_normalisation: bool = True,
        activation: str = "relu",
        initialisation: str = "glorot",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.kernel_sizes = kernel_sizes
        self.pool_size = pool_size
        self.batch_normalisation = batch_normalisation
        self.activation = activation
        self.initialisation = initialisation

    def default_embedding_size(self, n_features: int) -> int:
        """Size of the paper's embeddings: 120, or 320 for large images."""
        return 320 if self._is_large() else 120

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
        module : UnpoolingAutoencoderModule
        """
        check_options(self, activation=[*ACTIVATIONS], initialisation=INITIALISATIONS)
        check_flag(self, "batch_normalisation")
        self._check_pool_size()
        shape = check_image_shape(self.image_shape)
        check_features(self.image_shape, n_features)
        channels, kernel_sizes = self._stages(min(shape[1:]))
        check_stages(self, channels, kernel_sizes)
        module = UnpoolingAutoencoderModule(
            _shapes(shape, channels, kernel_sizes, self.pool_size),
            kernel_sizes,
            self.pool_size,
            self.batch_normalisation,
            ACTIVATIONS[self.activation],
            embedding_size,
        )
        initialise(module, self.initialisation, generator)
        return module

    def _check_pool_size(self) -> None:
        if not is_size(self.pool_size):
            raise ValueError(
                "The 'pool_size' parameter of UnpoolingAutoencoder must be an int in "
                f"the range [1, inf). Got {self.pool_size!r} instead."
            )

    def _is_large(self) -> bool:
        return min(check_image_shape(self.image_shape)[1:]) >= _LARGE_SIDE

    def _stages(self, side: int) -> tuple[Any, Any]:
        """Channels and kernel sizes, "auto" resolved."""
        channels, kernel_sizes = self.channels, self.kernel_sizes
        for name in ("channels", "kernel_sizes"):
            if getattr(self, name) != "auto":
                check_sizes(name, getattr(self, name))
        large = self._is_large()
        if kernel_sizes == "auto":
            n = _n_stages(side, large, self.pool_size)
            n = n if channels == "auto" else len(channels)
            kernel_sizes = (9 if large else 5, *(5,) * (n - 1))[:n]
        if channels == "auto":
            n = len(kernel_sizes)
            channels = ((20,) * (n - 1) + (40,)) if large else (50,) * n
        return channels, kernel_sizes


def _n_stages(side: int, large: bool, pool_size: int) -> int:
    """Stages of the paper's kernels that leave an image of at least 4 x 4, or one."""
    n, kernel = 0, 9 if large else 5
    while n == 0 or -(-(side - kernel + 1) // pool_size) >= _LEAST_SIDE:
        side = -(-(side - kernel + 1) // pool_size)
        n, kernel = n + 1, 5
    return n


def _shapes(
    image_shape: ImageShape,
    channels: Sequence[int],
    kernel_sizes: Sequence[int],
    pool_size: int,
) -> list[ImageShape]:
    """Shapes of the image and of what the stages make of it."""
    shapes = [image_shape]
    for n_channels, kernel in zip(channels, kernel_sizes, strict=True):
        convolved = [side - kernel + 1 for side in shapes[-1][1:]]
        if min(convolved) < 1:
            raise too_small(image_shape, kernel_sizes)
        height, width = (-(-side // pool_size) for side in convolved)
        shapes.append((n_channels, height, width))
    return shapes
