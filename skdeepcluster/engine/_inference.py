"""Forward passes in which a row's answer is its own, to the bit.

A matrix product of another shape may take another kernel and round otherwise, so every
block of rows has one shape, the last one padded. Layers whose kernels look at a row's
place in the block are replaced: see `position_free`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.engine._rows import Rows, StreamedRows
from skdeepcluster.utils._ahead import done_ahead

BLOCK_ROWS = 256
_LARGE_BLOCK_ROWS = 1024


@torch.no_grad()
def blocks_of(
    function: Callable[[Tensor], Tensor], x: Rows, block_rows: int = BLOCK_ROWS
) -> Iterator[Tensor]:
    """Answers of a row-wise `function`, one block of rows after the other.

    Parameters
    ----------
    function : callable
        Maps (block_rows, n_inputs) to (block_rows, ...).
    x : Rows
        Those on disk are read ahead.
    block_rows : int
        Rows that `function` gets, the last of them padded.

    Yields
    ------
    block : Tensor of shape (b, ...)
        Without the padding.
    """
    starts = range(0, len(x), block_rows)
    slices = (slice(start, min(start + block_rows, len(x))) for start in starts)
    for rows in _read(x, slices):
        yield function(_padded(rows, block_rows))[: len(rows)]


def _read(x: Rows, slices: Iterable[slice]) -> Iterator[Tensor]:
    if not (isinstance(x, StreamedRows) and x.on_disk):
        yield from (x[rows] for rows in slices)
        return

    def scaled(rows: slice) -> NDArray:
        return x.scaled(x.as_stored(rows.start, rows.stop))

    # A thread has a current GPU of its own, so only the caller places rows.
    for block in done_ahead(partial(scaled, rows) for rows in slices):
        yield x.placed(block)


def map_blocks(
    function: Callable[[Tensor], Tensor], x: Rows, block_rows: int = BLOCK_ROWS
) -> Tensor:
    """Answers of a row-wise `function` for all rows, (n_rows, ...).

    See `blocks_of`.
    """
    out, start = torch.empty(0), 0
    for block in blocks_of(function, x, block_rows):
        if start == 0:  # filled in: a list of blocks would be a second copy
            out = block.new_empty(len(x), *block.shape[1:])
        out[start : start + len(block)] = block
        start += len(block)
    return out


def _padded(rows: Tensor, block_rows: int) -> Tensor:
    missing = block_rows - len(rows)
    if missing == 0:
        return rows
    return torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])


def map_all(
    function: Callable[[Tensor], Tensor], x: Rows, n_rows: int | None = None
) -> Tensor:
    """Apply a row-wise `function` to all rows, in blocks sized for speed.

    The size goes with `n_rows`, where `x` are only some of so many.
    """
    large = (n_rows or len(x)) >= 4 * _LARGE_BLOCK_ROWS
    return map_blocks(function, x, _LARGE_BLOCK_ROWS if large else BLOCK_ROWS)
