"""Where a thread works on a CUDA device: its stream, and the memory of recordings."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

# All captures of a process share what tells the default generators of one.
_CAPTURING = threading.Lock()


class Lane:
    """A thread's own stream on a device, and the memory of what it records there.

    Torch keeps freed memory by stream and by recording: were these of a fit, every
    further fit would add to what the process holds. Devices other than CUDA have
    neither.

    Parameters
    ----------
    device : torch.device

    Attributes
    ----------
    records : bool
        Whether recordings succeed; False from the first one on that did not.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.records = True
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool: Any = None
        self._anchor: torch.cuda.CUDAGraph | None = None

    @classmethod
    def of(cls, device: torch.device) -> Lane:
        """That of this thread."""
        if str(device) == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())
        if device not in _THREAD.lanes:
            _THREAD.lanes[device] = cls(device)
        return _THREAD.lanes[device]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Context on the stream: it waits for what came before, as the rest for it."""
        if self._stream is None:
            yield
            return
        with torch.cuda.device(self.device):
            outer = torch.cuda.current_stream()
            self._stream.wait_stream(outer)
            try:
                with torch.cuda.stream(self._stream):
                    yield
            finally:
                outer.wait_stream(self._stream)

    def record(
        self, function: Callable[[], Tensor], generators: Iterable[torch.Generator]
    ) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """Graph of what `function` asks the device for, and its answer's place.

        To be called in the context; nothing is computed.
        """
        try:
            if self._anchor is None:
                self._pool = torch.cuda.graph_pool_handle()
                # Memory can be used again as long as any recording has it.
                self._anchor, _ = self._captured(self._least, ())
            return self._captured(function, generators)
        except RuntimeError:
            self.records = False
            self._recover(generators)
            raise

    def _recover(self, generators: Iterable[torch.Generator]) -> None:
        """Leave a failed recording behind.

        Generators that it has left waiting for its end are told by the end of one that
        succeeds, on memory that nothing has failed on.
        """
        # Should `records` be set again: torch refuses a pool without recordings.
        self._pool, self._anchor = torch.cuda.graph_pool_handle(), None
        self._captured(self._least, generators)

    def _least(self) -> Tensor:
        return torch.zeros(1, device=self.device)

    def _captured(
        self, function: Callable[[], Tensor], generators: Iterable[torch.Generator]
    ) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        with _CAPTURING, _no_collection():
            # Other threads may go on allocating memory.
            graph.capture_begin(self._pool, capture_error_mode="thread_local")
            try:
                answer = function()
            finally:
                self._end(graph)
        return graph, answer

    def _end(self, graph: torch.cuda.CUDAGraph) -> None:
        try:
            graph.capture_end()
        except RuntimeError:
            # Up to torch 2.11 all memory would go on coming from the pool.
            end = getattr(torch._C, "_cuda_endAllocateToPool", None)
            if end is not None:
                with suppress(RuntimeError):
                    end(self.device.index, self._pool)
            raise


class _Lanes(threading.local):
    def __init__(self) -> None:
        self.lanes: dict[torch.device, Lane] = {}


_THREAD = _Lanes()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Context without garbage collection, in all threads.

    It might free a recording, which a thread must not do while it makes another.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
