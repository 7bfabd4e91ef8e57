"""Training steps of an accelerator as one launch each: CUDA graphs.

A GPU is done with a step of a small network before the host has asked for all of it.
Recorded once, the same step is one launch.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_LOGGER = logging.getLogger("skdeepcluster")

# Steps on batches of one size before the next is recorded: by then the optimizer has
# its state, and libraries have chosen their kernels.
_STEPS_BEFORE = 3
_PACKAGES = ("torch.nn.", "skdeepcluster.")

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
    """

    def __init__(
        self,
        step: Step,
        constants: Callable[[], tuple[Any, ...]],
        optimizer: Optimizer,
        generators: Iterable[torch.Generator],
    ) -> None:
        self.step = step
        self.constants = constants
        self.optimizer = optimizer
        self.generators = list(generators)
        self.gives_up = False
        self._before: tuple[Any, ...] | None = None
        self._taken: Counter[int] = Counter()
        self._recordings: dict[int, Recording] = {}

    def __call__(self, batch: Batch) -> Tensor:
        """Take one step; its loss."""
        self._forget_if_changed()
        n_rows = len(batch[1])
        if n_rows not in self._recordings:
            self._taken[n_rows] += 1
            if self.gives_up or self._taken[n_rows] <= _STEPS_BEFORE:
                return self.step(batch)
            try:
                self._recordings[n_rows] = self._record(batch)
            except RuntimeError as error:
                # Nothing of the step has been computed.
                self.gives_up = True
                _LOGGER.info("training steps are not recorded: %s", error)
                release(self.generators)
                return self.step(batch)
        return self._recordings[n_rows].replay(batch)

    def forget(self) -> None:
        """Drop all recordings, and their memory."""
        self._recordings.clear()

    def _forget_if_changed(self) -> None:
        constants = self.constants()
        if constants != self._before:
            self._before = constants
            self._taken.clear()
            self._recordings.clear()

    def _record(self, batch: Batch) -> Recording:
        with _capturable(self.optimizer):
            return Recording(self.step, batch, self.generators)


class Recording:
    """One step as a CUDA graph, recorded on the current stream but not yet taken.

    Parameters
    ----------
    step : callable
    batch : tuple of Tensor
        Of the size of all that will be replayed.
    generators : iterable of torch.Generator
    """

    def __init__(
        self, step: Step, batch: Batch, generators: Iterable[torch.Generator]
    ) -> None:
        self.batch = batch[0].clone(), batch[1].clone()
        self.graph = torch.cuda.CUDAGraph()
        with _recorded(self.graph, generators):
            self.loss = step(self.batch)

    def replay(self, batch: Batch) -> Tensor:
        """Take the step on a batch; its loss."""
        for place, values in zip(self.batch, batch, strict=True):
            place.copy_(values)
        self.graph.replay()
        return self.loss.clone()


def can_record(device: torch.device, *modules: nn.Module) -> bool:
    """Whether steps of these modules can be recorded and replayed.

    Code of others may ask for values of the device, or decide anew in every step.
    """
    return device.type == "cuda" and all(
        type(layer).__module__.startswith(_PACKAGES)
        and getattr(layer, "recordable", True)
        for module in modules
        for layer in module.modules()
    )


class OwnStream:
    """A stream beside the default one, which recordings need; only CUDA has it.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Context whose work waits for what came before, as what comes after for it."""
        if self.stream is None:
            yield
            return
        with torch.cuda.device(self.stream.device):
            outer = torch.cuda.current_stream()
            self.stream.wait_stream(outer)
            try:
                with torch.cuda.stream(self.stream):
                    yield
            finally:
                outer.wait_stream(self.stream)


@contextmanager
def _recorded(
    graph: torch.cuda.CUDAGraph, generators: Iterable[torch.Generator]
) -> Iterator[None]:
    """Context whose work on the current stream is not done, but recorded."""
    for generator in generators:
        graph.register_generator_state(generator)
    collects = gc.isenabled()
    gc.disable()  # it may free an older recording, which nobody may do meanwhile
    try:
        # Other threads, of fits beside this one, may go on allocating memory.
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            yield
        finally:
            graph.capture_end()
    finally:
        if collects:
            gc.enable()


def release(generators: Iterable[torch.Generator]) -> None:
    """Let generators draw again that a failed recording has left waiting for its end.

    Only the end of one that succeeds tells them.
    """
    number = torch.zeros((), device="cuda")
    with _recorded(torch.cuda.CUDAGraph(), generators):
        number.add_(1)


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
