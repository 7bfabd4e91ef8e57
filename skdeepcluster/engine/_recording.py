"""Training steps of an accelerator as one launch each: CUDA graphs.

A GPU is done with a step of a small network before the host has asked for all of it.
Recorded once, the same step is one launch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from skdeepcluster.engine._lanes import Lane

_LOGGER = logging.getLogger("skdeepcluster")

# Steps on batches of one size before the next is recorded: by then the optimizer has
# its state, and libraries have chosen their kernels.
_STEPS_BEFORE = 3
_PACKAGES = ("torch.nn.", "skdeepcluster.")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
_METHODS = ("forward", "encode", "decode")

Batch = tuple[Tensor, Tensor]
Step = Callable[[Batch], Tensor]


class Recorder:
    """Records training steps and replays them.

    A recording repeats what the device was asked for, on the same memory; whatever the
    host decided meanwhile is a constant of it.

    Parameters
    ----------
    step : callable
        ``step(batch)`` takes one step on a batch of rows and their numbers; its loss.
    constants : callable
        ``constants()`` gives everything by which the step may change from one time to
        the next but for the batch: numbers, and the places of the tensors that it
        reads. Where it differs from that of the last step, recordings are dropped.
    optimizer : Optimizer
    generators : iterable of torch.Generator
        Those of the device that the step draws from.
    lane : Lane
    """

    def __init__(
        self,
        step: Step,
        constants: Callable[[], tuple[Any, ...]],
        optimizer: Optimizer,
        generators: Iterable[torch.Generator],
        lane: Lane,
    ) -> None:
        self.step = step
        self.constants = constants
        self.optimizer = optimizer
        self.generators = list(generators)
        self.lane = lane
        self._before: tuple[Any, ...] | None = None
        self._taken: Counter[int] = Counter()
        self._recordings: dict[int, Recording] = {}

    def __call__(self, batch: Batch) -> Tensor:
        """Take one step; its loss."""
        self._forget_if_changed()
        n_rows = len(batch[1])
        if n_rows not in self._recordings and self._is_time_for(n_rows):
            self._record(batch)
        recording = self._recordings.get(n_rows)
        return self.step(batch) if recording is None else recording.replay(batch)

    def forget(self) -> None:
        """Drop all recordings."""
        self._recordings.clear()

    def _forget_if_changed(self) -> None:
        constants = self.constants()
        if constants != self._before:
            self._before = constants
            self._taken.clear()
            self.forget()

    def _is_time_for(self, n_rows: int) -> bool:
        self._taken[n_rows] += 1
        return self.lane.records and self._taken[n_rows] > _STEPS_BEFORE

    def _record(self, batch: Batch) -> None:
        """Record the step, without taking it; nothing where that fails."""
        try:
            with _capturable(self.optimizer):
                recording = Recording(self.step, batch, self.generators, self.lane)
        except RuntimeError as error:
            _LOGGER.info("training steps are not recorded: %s", str(error))
        else:
            self._recordings[len(batch[1])] = recording


class Recording:
    """One step as a CUDA graph.

    Parameters
    ----------
    step : callable
    batch : tuple of Tensor
        Of the size of all that will be replayed.
    generators : iterable of torch.Generator
    lane : Lane
        Whose stream is the current one.
    """

    def __init__(
        self,
        step: Step,
        batch: Batch,
        generators: Iterable[torch.Generator],
        lane: Lane,
    ) -> None:
        self.batch = batch[0].clone(), batch[1].clone()
        self.graph, self.loss = lane.record(lambda: step(self.batch), generators)

    def replay(self, batch: Batch) -> Tensor:
        """Take the step on a batch; its loss."""
        for place, values in zip(self.batch, batch, strict=True):
            place.copy_(values)
        self.graph.replay()
        return self.loss.clone()


def can_record(device: torch.device, *modules: nn.Module) -> bool:
    """Whether steps of these modules can be recorded and replayed.

    Code of others may ask for values of the device, or decide anew in every step; what
    does so here has ``recordable = False``.
    """
    return device.type == "cuda" and all(
        _is_own(layer) for module in modules for layer in module.modules()
    )


def _is_own(layer: nn.Module) -> bool:
    given = vars(layer)
    return (
        type(layer).__module__.startswith(_PACKAGES)
        and getattr(layer, "recordable", True)
        and not any(given.get(name) for name in _HOOKS)
        and not any(name in given for name in _METHODS)
    )


@contextmanager
def _capturable(optimizer: Optimizer) -> Iterator[None]:
    """Context in which an optimizer knows that it is recorded, if it wants to."""
    groups = [group for group in optimizer.param_groups if "capturable" in group]
    before = [group["capturable"] for group in groups]
    try:
        for group in groups:
            group["capturable"] = True
        yield
    finally:
        for group, value in zip(groups, before, strict=True):
            group["capturable"] = value


def places(tensors: Iterable[Any]) -> tuple[Any, ...]:
    """What tells whether a recording still reads the right tensors, and numbers."""
    return tuple(t.data_ptr() if isinstance(t, Tensor) else t for t in tensors)
