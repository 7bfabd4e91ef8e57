"""Forward passes in which a row's answer is its own, to the bit.

A matrix product of another shape may take another kernel and round otherwise, so every
block of rows has one shape, the last one padded. And where the length of the sums is
not a multiple of four, kernels treat the last rows of a block differently (measured,
MKL: float32 and float64), so inner dimensions are padded too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skdeepcluster.architectures import Linear
from skdeepcluster.utils._linear import INNER_MULTIPLE, fast_linear

BLOCK_ROWS = 256
_LARGE_BLOCK_ROWS = 1024


@torch.no_grad()
def map_blocks(
    function: Callable[[Tensor], Tensor],
    read: Callable[[int, int], Tensor],
    n_rows: int,
    block_rows: int = BLOCK_ROWS,
) -> Tensor:
    """Apply a row-wise `function` to all rows, one padded block at a time.

    Parameters
    ----------
    function : callable
        Maps (block_rows, n_inputs) to (block_rows, n_outputs).
    read : callable
        ``read(start, stop)`` gives those rows on the device.
    n_rows : int
    block_rows : int

    Returns
    -------
    out : Tensor of shape (n_rows, n_outputs)
    """
    outputs = []
    for start in range(0, n_rows, block_rows):
        stop = min(start + block_rows, n_rows)
        block = function(_padded(read(start, stop), block_rows))
        outputs.append(block[: stop - start])
    return torch.cat(outputs)


def _padded(rows: Tensor, block_rows: int) -> Tensor:
    missing = block_rows - len(rows)
    if missing == 0:
        return rows
    return torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])


def map_all(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a row-wise `function` to a resident tensor, in blocks sized for speed."""
    large = len(x) >= 4 * _LARGE_BLOCK_ROWS
    rows = _LARGE_BLOCK_ROWS if large else BLOCK_ROWS
    return map_blocks(function, lambda start, stop: x[start:stop], len(x), rows)


class _PaddedLinear(nn.Linear):
    """Linear layer that sums over a multiple of four products, the last ones zero."""

    def forward(self, x: Tensor) -> Tensor:
        missing = (0, -self.in_features % INNER_MULTIPLE)
        return fast_linear(pad(x, missing), pad(self.weight, missing), self.bias)


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
            layer.__class__ = _PaddedLinear
    return network


def _is_ragged(layer: nn.Module) -> bool:
    if type(layer) is not nn.Linear and type(layer) is not Linear:
        return False
    return layer.in_features % INNER_MULTIPLE != 0
