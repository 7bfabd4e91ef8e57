"""Rows in, statistics out: checked tensors, row blocks and sums of fixed order."""

from collections.abc import Iterator

import torch
from torch import Tensor

# Small enough for the cache, large enough that threads seldom wait for each other;
# and a sum of so few rows torch does not split over threads (it does from 2**15).
_BLOCK_ELEMENTS = 2**19
_BLOCK_ROWS = 2**13
# Of an accelerator, which has far more to do at a time before it outweighs the launch.
_DEVICE_BLOCK_ELEMENTS = 2**22
# Differences below this part of what was subtracted have lost half their digits.
CANCELLED = 1e-8


def summation_error(n_terms: int) -> float:
    """Part of its terms by which a sum may be wrong, in whatever order."""
    # Errors of single steps hardly ever add up: their root does, several times.
    return float((16 + n_terms**0.5) * torch.finfo(torch.float64).eps)


def consecutive(n_rows: int, step: int) -> Iterator[slice]:
    """Slices of `step` rows each, the last one of what is left."""
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def row_blocks(
    n_rows: int, width: int, device: torch.device | None = None
) -> Iterator[slice]:
    """Slice rows on a device; the slices depend on the sizes alone, not on threads."""
    if device is None or device.type == "cpu":
        step = min(_BLOCK_ROWS, max(1, _BLOCK_ELEMENTS // width))
    else:
        step = max(1, _DEVICE_BLOCK_ELEMENTS // width)
    return consecutive(n_rows, step)


def fixed_order_sum(values: Tensor) -> Tensor:
    """Sum a vector in an order that the number of threads has no part in."""
    while values.device.type == "cpu" and len(values) > _BLOCK_ROWS:
        blocks = row_blocks(len(values), 1)
        values = torch.stack([values[rows].sum() for rows in blocks])
    return values.sum()


def check_rows(x: Tensor, name: str = "x") -> Tensor:
    """Return detached rows on a device that computes in float64."""
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} should be float32 or float64, got {x.dtype}.")
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(
            f"{name} should have shape (n_rows, n_features >= 1), got {tuple(x.shape)}."
        )
    # Apple's GPUs have no float64.
    return x.detach().cpu() if x.device.type == "mps" else x.detach()


def check_finite_rows(x: Tensor, name: str = "x") -> Tensor:
    """Return checked rows without NaN or infinity."""
    x = check_rows(x, name)
    finite = x.isfinite()
    if not bool(finite.all()):
        bad = int((~finite).any(1).nonzero()[0])
        raise ValueError(f"{name} should be finite, got nan or inf in row {bad}.")
    return x


def check_centers(centers: Tensor, x: Tensor) -> Tensor:
    """Return the centres in float64 beside the rows."""
    centers = check_finite_rows(centers, "centers")
    if len(centers) == 0 or centers.shape[1] != x.shape[1]:
        raise ValueError(
            f"centers should have shape (n_clusters >= 1, {x.shape[1]}), "
            f"got {tuple(centers.shape)}."
        )
    return centers.to(device=x.device, dtype=torch.float64)


def check_weight(weight: Tensor | None, x: Tensor) -> Tensor | None:
    """Return the weights in float64 beside the rows."""
    if weight is None:
        return None
    if weight.shape != x.shape[:1]:
        raise ValueError(
            f"weight should have shape ({len(x)},), got {tuple(weight.shape)}."
        )
    weight = weight.detach().to(x.device).to(torch.float64)
    if len(weight) and not bool((weight >= 0).all()):
        raise ValueError(f"weight should be >= 0, got {float(weight.min())}.")
    return weight


def check_total_weight(total: Tensor) -> None:
    """Refuse data in which no row counts."""
    if not float(total) > 0:
        raise ValueError(f"weight should have a sum > 0, got {float(total)}.")


def check_count(value: int, name: str) -> None:
    """Refuse a count below one."""
    if value < 1:
        raise ValueError(f"{name}={value} should be >= 1.")


def check_enough_rows(x: Tensor, n_clusters: int) -> None:
    """Refuse more clusters than rows."""
    check_count(n_clusters, "n_clusters")
    if len(x) < n_clusters:
        raise ValueError(f"n_samples={len(x)} should be >= n_clusters={n_clusters}.")
