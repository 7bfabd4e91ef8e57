"""Fits of several processes: the only place that imports ``torch.distributed``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from skdeepcluster.engine._net import TrainingDivergedError
from skdeepcluster.utils._group import ALONE, Group, SharedError


class ProcessGroup:
    """The default group of ``torch.distributed``, which the user has started."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        on_gpu = dist.get_backend() == "nccl"
        self._device = torch.device("cuda" if on_gpu else "cpu")

    def sum(self, part: Tensor) -> Tensor:
        """Sum over the processes, in the same order in each of them."""
        total = part.detach().to(self._device, copy=True)
        with _named_failures():
            dist.all_reduce(total)
        return total.to(part.device)

    def concat(self, rows: Tensor) -> Tensor:
        """Rows of all processes; as many from each as it has."""
        sizes = self.sizes(len(rows))
        padded = rows.new_zeros(max(sizes), *rows.shape[1:], device=self._device)
        padded[: len(rows)] = rows.detach()
        parts = [torch.empty_like(padded) for _ in sizes]
        with _named_failures():
            dist.all_gather(parts, padded)
        whole = [part[:size] for part, size in zip(parts, sizes, strict=True)]
        return torch.cat(whole).to(rows.device)

    def sizes(self, own: int) -> list[int]:
        """Numbers of all processes."""
        numbers = torch.zeros(self.size, dtype=torch.int64)
        numbers[self.rank] = own
        return [int(number) for number in self.sum(numbers)]

    def first(self, value: Any) -> Any:
        """What process 0 has: anything that can be pickled."""
        box = [value]
        with _named_failures():
            dist.broadcast_object_list(box, src=0, device=self._device)
        return box[0]

    def each(self, value: Any) -> list[Any]:
        """What every process has: anything that can be pickled."""
        values: list[Any] = [None] * self.size
        with _named_failures():
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context without communication inside; an error in one fails them all."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:  # told to the others first
            failure = error
        except BaseException:  # an interrupt is to end this process at once
            _leave()
            raise
        for rank, told in enumerate(self.each(_told(failure))):
            if told is not None and failure is None:
                kind, message = told
                failure = kind(f"Process {rank} of the group failed: {message}")
        if failure is not None:
            failure.known_to_group = True  # type: ignore[attr-defined]
            raise failure

    @contextmanager
    def left_on_error(self) -> Iterator[None]:
        """Context that ends the group where an error of this process leaves it.

        The others wait for a message that will not come; without the group they hear
        so at once. Errors that all processes raise leave the group as it is; an
        interrupt (Ctrl-C, ``sys.exit``) is one of this process.
        """
        try:
            yield
        except (SharedError, TrainingDivergedError):
            raise
        except BaseException as error:
            if not getattr(error, "known_to_group", False):
                _leave()
            raise


def group_of(shard: str | None) -> Group:
    """The processes that fit together, as the ``shard`` parameter says."""
    if shard is None:
        return ALONE
    if dist.is_available() and dist.is_initialized():
        return ProcessGroup() if dist.get_world_size() > 1 else ALONE
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            f"shard={shard!r} needs the processes to know each other: call "
            "torch.distributed.init_process_group before fit."
        )
    return ALONE


def _told(failure: Exception | None) -> tuple[type[Exception], str] | None:
    """What the other processes raise for a failure, and what they say of it."""
    if failure is None:
        return None
    diverged = isinstance(failure, TrainingDivergedError)
    kind = TrainingDivergedError if diverged else RuntimeError
    return kind, f"{type(failure).__name__}: {failure}"


def _leave() -> None:
    """End the group, so that the other processes do not wait for this one."""
    with suppress(Exception):
        dist.destroy_process_group()


@contextmanager
def _named_failures() -> Iterator[None]:
    """Say what the errors of a group mean: who has died is not there to say it."""
    try:
        yield
    except KeyboardInterrupt:
        _leave()
        raise
    except RuntimeError as error:
        raise RuntimeError(
            "Another process of the group has ended or does not answer, so this one "
            f"cannot go on either: {error}"
        ) from error
