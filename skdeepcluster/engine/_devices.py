"""Where the network computes, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

PRECISIONS = ("float32", "bfloat16", "float64")

# Largest block that glibc still lets raise its thresholds (32 MiB with its header).
_LARGEST_BLOCK = (32 << 20) - (64 << 10)


def available_devices() -> list[str]:
    """Names of the device types that this process can use, best first."""
    names = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def _is_available(device: str) -> bool:
    """Whether this host has a device; a name that torch does not know is an error."""
    return device == "auto" or _exists(_parse(device))


def resolve_device(device: str, precision: str = "float32") -> torch.device:
    """Turn the ``device`` parameter into a device that exists here.

    Parameters
    ----------
    device : str
        "auto" (cuda, then mps, then cpu; the first that has `precision`) or a torch
        device name such as "cuda:1".
    precision : str

    Returns
    -------
    device : torch.device
    """
    if device == "auto":
        names = available_devices()
        if precision == "float64":
            names = [name for name in names if name != "mps"]
        return torch.device(names[0])
    resolved = _parse(device)
    if not _exists(resolved):
        raise _no_device(device)
    return resolved


def _parse(device: str) -> torch.device:
    try:
        return torch.device(device)
    except RuntimeError:
        raise _no_device(device) from None


def _exists(device: torch.device) -> bool:
    if device.type not in available_devices():
        return False
    return device.type != "cuda" or (device.index or 0) < torch.cuda.device_count()


def _no_device(device: str) -> ValueError:
    return ValueError(
        "The 'device' parameter must be 'auto' or one of the available devices "
        f"{available_devices()}. Got {device!r} instead."
    )


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turn a device's lack of memory into a MemoryError with advice."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(f"The device ran out of memory; {advice}.") from error


def reuse_host_memory() -> None:
    """Let the C library keep freed memory from one step to the next.

    glibc returns blocks of the size of a layer, or of some thousand rows, to the system
    when they are freed, and faults in every page again in the next step (a quarter of
    a training step, measured), until a larger block has been freed once. One is, here;
    its pages are never touched.
    """
    torch.empty(_LARGEST_BLOCK, dtype=torch.uint8, device="cpu")


@dataclass(frozen=True)
class Compute:
    """A device and a precision: everything that decides how a forward pass runs."""

    device: torch.device
    precision: str

    @classmethod
    def resolve(cls, device: str, precision: str) -> Compute:
        """Check the ``device`` and ``precision`` parameters together."""
        if precision not in PRECISIONS:
            raise ValueError(
                f"The 'precision' parameter must be one of {PRECISIONS}. Got "
                f"{precision!r} instead."
            )
        resolved = resolve_device(device, precision)
        if precision == "float64" and resolved.type == "mps":
            raise ValueError(
                "precision='float64' needs a device that has it: use device='cpu'. "
                "Got device 'mps'."
            )
        return cls(resolved, precision)

    @classmethod
    def here(cls, device: str, precision: str) -> Compute:
        """Check both; the CPU stands in for a device that this host does not have."""
        return cls.resolve(device if _is_available(device) else "cpu", precision)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of weights and batches ("bfloat16" keeps both in float32)."""
        return torch.float64 if self.precision == "float64" else torch.float32

    @property
    def numpy_dtype(self) -> type[np.floating]:
        """The same, of rows on their way to the device."""
        return np.float64 if self.precision == "float64" else np.float32

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which matrix products run in bfloat16 where that was asked.

        Nothing is kept for the next pass: within another such context it would get
        weights from before the step.
        """
        if self.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(  # type: ignore[no-any-return]
            self.device.type, dtype=torch.bfloat16, cache_enabled=False
        )
