"""What matrices have in common whose rows are all in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import consecutive

_Matrix = TypeVar("_Matrix", bound="WholeMatrix")

BLOCK_ELEMENTS = 1 << 20
LARGEST_BLOCK_ROWS = 4096
_SMALLEST_BLOCK_ROWS = 256
# Of an accelerator, which has far more to do at a time before it outweighs launches.
_DEVICE_BLOCK_ELEMENTS = 1 << 24
_DEVICE_BLOCK_ROWS = 1 << 14


class WholeMatrix:
    """A matrix that is its own part; see `ShardedMatrix` for one that is not.

    Attributes
    ----------
    read_rows : int
        How many rows the host reads at a time.
    block_rows : int
        How many a product takes at a time.
    """

    x: Any
    read_rows: int
    block_rows: int

    def __init__(self, x: Any, device: Any = "cpu", precision: str = "float32") -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def slices(self) -> Iterator[slice]:
        """Slices of rows as the host reads them; they depend on the shape alone."""
        return consecutive(len(self), self.read_rows)

    @property
    def own(self: _Matrix) -> _Matrix:
        """The part that this process has: all of it."""
        return self

    @property
    def own_rows(self) -> slice:
        """Which rows these are among all."""
        return slice(0, len(self))

    def of_all(self, values: Tensor) -> Tensor:
        """Values of the own rows as those of all: the same."""
        return values

    def as_double(self: _Matrix) -> _Matrix:
        """The same rows, multiplied in float64 on the CPU."""
        return type(self)(self.x, "cpu", "float64")


def rows_to_read(width: int) -> int:
    """How many rows of so many entries the host reads at a time."""
    return _rows_of(width, BLOCK_ELEMENTS, LARGEST_BLOCK_ROWS)


def rows_of_product(width: int, device: torch.device) -> int:
    """How many rows of so many entries a product on a device takes at a time."""
    if device.type == "cpu":
        return rows_to_read(width)
    return _rows_of(width, _DEVICE_BLOCK_ELEMENTS, _DEVICE_BLOCK_ROWS)


def _rows_of(width: int, elements: int, most: int) -> int:
    return max(_SMALLEST_BLOCK_ROWS, min(elements // max(1, width), most))
