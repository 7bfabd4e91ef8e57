"""The processes that fit one model together, or the one that does it alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

SHARDS = ("auto", "local")


class SharedError(ValueError):
    """An error that all processes of a group raise at the same place."""


class Group(Protocol):
    """Processes with the same program, each with rows of its own."""

    rank: int
    size: int

    def sum(self, part: Tensor) -> Tensor:
        """Sum of a tensor that every process has a part of."""

    def concat(self, rows: Tensor) -> Tensor:
        """Rows of all processes, one after the other in the order of ranks."""

    def first(self, value: Any) -> Any:
        """What process 0 has."""

    def each(self, value: Any) -> list[Any]:
        """What every process has, in the order of ranks."""

    def together(self) -> Any:
        """Context that fails in all processes where it fails in one."""

    def left_on_error(self) -> Any:
        """Context that ends the group where an error of this process leaves it."""


class Alone:
    """One process: there is nobody to talk to."""

    rank, size = 0, 1

    def sum(self, part: Tensor) -> Tensor:
        """The same tensor."""
        return part

    def concat(self, rows: Tensor) -> Tensor:
        """The same rows."""
        return rows

    def first(self, value: Any) -> Any:
        """The same value."""
        return value

    def each(self, value: Any) -> list[Any]:
        """The one value there is."""
        return [value]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context that does nothing."""
        yield

    @contextmanager
    def left_on_error(self) -> Iterator[None]:
        """Context that does nothing."""
        yield


ALONE = Alone()


class Shard:
    """Rows `start` to `stop` of all rows, which are numbered by process.

    Parameters
    ----------
    n_own : int
        Rows of this process.
    group : Group, optional
    """

    def __init__(self, n_own: int, group: Group = ALONE) -> None:
        counts = group.concat(torch.tensor([n_own]))
        self.group = group
        self.start = int(counts[: group.rank].sum())
        self.stop = self.start + n_own
        self.total = int(counts.sum())

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.group.size == 1

    @property
    def own(self) -> slice:
        """Rows of this process among all."""
        return slice(self.start, self.stop)

    def evenly(self, about: int) -> slice:
        """Own rows among evenly spaced ones of all, of which there are `about` as many.

        All of them where there are fewer than twice as many.
        """
        step = self.spacing(about)
        return slice(-self.start % step, None, step)

    def spacing(self, about: int) -> int:
        """Distance between `about` so many evenly spaced rows of all."""
        return max(1, self.total // about)

    def own_of(self, index: Tensor) -> Tensor:
        """Those of some rows that this process has, by their numbers among all."""
        if self.alone:
            return index
        return index[(index >= self.start) & (index < self.stop)]

    def shares(self, sizes: list[int]) -> list[int]:
        """Rows of this process in batches of these sizes, as even as can be."""
        if self.alone:
            return sizes
        n_own, n_batches = self.stop - self.start, len(sizes)
        ends = [n_own * t // n_batches for t in range(n_batches + 1)]
        return [end - start for start, end in zip(ends, ends[1:], strict=False)]
