"""Where the network computes, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

PRECISIONS = ("float32", "bfloat16", "float64")


def available_devices() -> list[str]:
    """Names of the device types that this process can use, best first."""
    names = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(device: str) -> torch.device:
    """Turn the ``device`` parameter into a device that exists here.

    Parameters
    ----------
    device : str
        "auto" (cuda, then mps, then cpu) or a torch device name such as "cuda:1".

    Returns
    -------
    device : torch.device
    """
    available = available_devices()
    if device == "auto":
        return torch.device(available[0])
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = None
    beyond = resolved is not None and (
        resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count()
    )
    if resolved is None or resolved.type not in available or beyond:
        raise ValueError(
            "The 'device' parameter must be 'auto' or one of the available devices "
            f"{available}. Got {device!r} instead."
        )
    return resolved


@dataclass(frozen=True)
class Compute:
    """A device and a precision: everything that decides how a forward pass runs."""

    device: torch.device
    precision: str

    @classmethod
    def resolve(cls, device: str, precision: str) -> Compute:
        """Check the ``device`` and ``precision`` parameters together."""
        resolved = resolve_device(device)
        if precision == "float64" and resolved.type == "mps":
            raise ValueError(
                "precision='float64' needs a device that has it: use device='cpu'. "
                "Got device 'mps'."
            )
        return cls(resolved, precision)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of weights and batches ("bfloat16" keeps both in float32)."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which matrix products run in bfloat16 where that was asked."""
        return torch.autocast(  # type: ignore[no-any-return]
            self.device.type,
            dtype=torch.bfloat16,
            enabled=self.precision == "bfloat16",
        )
