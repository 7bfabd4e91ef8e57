"""What matrices have in common whose rows are all in this process."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

_Matrix = TypeVar("_Matrix", bound="WholeMatrix")


class WholeMatrix:
    """A matrix that is its own part; see `ShardedMatrix` for one that is not."""

    x: Any

    def __init__(self, x: Any, device: Any = "cpu", precision: str = "float32") -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

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
