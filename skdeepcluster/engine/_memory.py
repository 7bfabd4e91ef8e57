"""What training takes of the memory, known from shapes before it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from skdeepcluster.engine._devices import Compute

# Rows of a batch as they come, decoded, their differences and the gradients of these.
_BATCHES = 4
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def check_room(
    n_parameters: int,
    batch_shape: tuple[int, int],
    optimizers: tuple[str, ...],
    compute: Compute,
    decodes: bool = True,
) -> None:
    """Refuse a network whose training cannot fit, before anything of it is there.

    Counted is what no step can do without, so that nothing is refused that fits.

    Parameters
    ----------
    n_parameters : int
        Weights and biases of encoder and decoder.
    batch_shape : tuple of int
        Rows of a step and features.
    optimizers : tuple of str
        Of all phases.
    compute : Compute
    decodes : bool, default=True
        Whether the decoder, which is half of a network, is used at all.
    """
    if not decodes:
        n_parameters //= 2
    free = available_memory(compute.device)
    itemsize = compute.dtype.itemsize
    moments = 2 if "adam" in optimizers else 1
    # Weights, their gradients, and the moments of these.
    network = (2 + moments) * n_parameters * itemsize
    n_rows, n_features = batch_shape
    batch = (_BATCHES if decodes else 1) * n_rows * n_features * itemsize
    if free is None or network + batch <= free:
        return
    raise MemoryError(
        f"Training a network of {n_parameters:,} parameters on rows of {n_features:,} "
        f"features takes at least {_gigabytes(network + batch)} of memory on "
        f"{compute.device.type!r} ({_gigabytes(network)} for the network and its "
        f"optimizer, {_gigabytes(batch)} for a batch of {n_rows} rows); "
        f"{_gigabytes(free)} are available. Reduce the features first (e.g. with "
        "TruncatedSVD, or HashingVectorizer(n_features=4096)), or take smaller "
        "hidden_layer_sizes or a smaller batch_size."
    )


def available_memory(device: torch.device) -> int | None:
    """Bytes that a device can still give to this process; None where it is unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )
        return int(free + unused)
    if device.type != "cpu":
        return None
    known = [free for free in (_host_memory(), _container_memory()) if free is not None]
    return min(known, default=None)


def _host_memory() -> int | None:
    """What Linux calls available; elsewhere all that is built in."""
    fields = _fields(_MEMINFO)
    if "MemAvailable:" in fields:
        return 1024 * fields["MemAvailable:"]
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _container_memory() -> int | None:
    """What the limit of a container leaves; None without a limit."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(0, limit - _fields(_CGROUP / "memory.stat").get("anon", 0))


def _fields(path: Path) -> dict[str, int]:
    """Numbers of a file of the kernel by their names."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in lines if line[1:2] and line[1].isdigit()}


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
