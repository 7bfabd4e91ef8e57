"""Forward passes in which a row's answer is its own, to the bit.

A matrix product of another shape may take another kernel and round otherwise, so every
block of rows has one shape, the last one padded. Layers whose kernels look at a row's
place in the block are replaced: see `position_free`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skdeepcluster.engine._rows import Rows

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


def map_all(function: Callable[[Tensor], Tensor], x: Rows) -> Tensor:
    """Apply a row-wise `function` to all rows, in blocks sized for speed."""
    large = len(x) >= 4 * _LARGE_BLOCK_ROWS
    rows = _LARGE_BLOCK_ROWS if large else BLOCK_ROWS
    return map_blocks(function, lambda start, stop: x[start:stop], len(x), rows)
