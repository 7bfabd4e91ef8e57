"""Layers that round a row alike wherever it stands in a block.

Where the length of the sums is not a multiple of four, kernels of matrix products treat
the last rows of a block differently (measured, MKL: float32 and float64), so inner
dimensions are padded. Convolutions in float64 do so too, where an image's memory is not
aligned as its neighbour's (measured, oneDNN: never in float32); they become products.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, linear, pad, unfold

from skdeepcluster.architectures import Linear
from skdeepcluster.utils._linear import INNER_MULTIPLE, fast_linear


class _PaddedLinear(nn.Linear):
    """Linear layer that sums over a multiple of four products, the last ones zero."""

    def forward(self, x: Tensor) -> Tensor:
        missing = (0, -self.in_features % INNER_MULTIPLE)
        return fast_linear(pad(x, missing), pad(self.weight, missing), self.bias)


class _PaddedConv2d(nn.Conv2d):
    """Convolution as one padded matrix product of all windows of a block."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size, self.stride
        padding = cast("tuple[int, int]", self.padding)
        windows = unfold(x, kernel, padding=padding, stride=stride)
        out = _padded_product(windows, self.weight.flatten(1))
        if self.bias is not None:
            out = out + self.bias[:, None]
        height = (x.shape[2] + 2 * padding[0] - kernel[0]) // stride[0] + 1
        return out.unflatten(2, (height, -1))


class _PaddedConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution as one padded matrix product of all pixels of a block."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel, stride = self.kernel_size, self.stride
        padding = cast("tuple[int, int]", self.padding)
        windows = _padded_product(x.flatten(2), self.weight.flatten(1).T)
        height, width = output_size[-2:] if output_size else self._sides(x)
        out = fold(windows, (height, width), kernel, padding=padding, stride=stride)
        return out if self.bias is None else out + self.bias[:, None, None]

    def _sides(self, x: Tensor) -> tuple[int, int]:
        padding = cast("tuple[int, int]", self.padding)
        height, width = (
            (x.shape[2 + i] - 1) * self.stride[i]
            - 2 * padding[i]
            + self.kernel_size[i]
            + self.output_padding[i]
            for i in (0, 1)
        )
        return height, width


def _padded_product(columns: Tensor, weight: Tensor) -> Tensor:
    """``weight @ columns`` for every image, (b, n_outputs, n_places)."""
    missing = (0, -weight.shape[1] % INNER_MULTIPLE)
    rows = pad(columns.transpose(1, 2), missing)
    return linear(rows, pad(weight, missing)).transpose(1, 2)


def position_free(network: nn.Module) -> nn.Module:
    """Network whose rows round alike wherever they stand in a block.

    Parameters
    ----------
    network : nn.Module
        Left as it is.

    Returns
    -------
    network : nn.Module
        The same one, or a copy where linear layers had to be replaced.
    """
    if not any(_is_ragged(layer) for layer in network.modules()):
        return network
    # A copy of the structure alone: it shares the weights.
    tensors = (*network.parameters(), *network.buffers())
    network = copy.deepcopy(network, {id(t): t for t in tensors})
    for layer in network.modules():
        if _is_ragged(layer):
            layer.__class__ = _PADDED[type(layer)]
    return network


_PADDED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: _PaddedLinear,
    Linear: _PaddedLinear,
    nn.Conv2d: _PaddedConv2d,
    nn.ConvTranspose2d: _PaddedConvTranspose2d,
}


def _is_ragged(layer: nn.Module) -> bool:
    if type(layer) not in _PADDED:
        return False
    if isinstance(layer, nn.Linear):
        return layer.in_features % INNER_MULTIPLE != 0
    layer = cast("nn.Conv2d | nn.ConvTranspose2d", layer)
    plain = layer.groups == 1 and set(layer.dilation) == {1}
    numbers = not isinstance(layer.padding, str) and layer.padding_mode == "zeros"
    return layer.weight.dtype == torch.float64 and plain and numbers
