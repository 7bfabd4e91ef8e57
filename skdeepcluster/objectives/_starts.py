"""First labels of a clustering loss: from k-means, or from any other clustering."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.kmeans import cluster_sums, kmeans
from skdeepcluster.utils._forms import plain
from skdeepcluster.utils._reduce import Reduce

#: ``start(z, seed)``: labels (n,) of an embedding (n, d).
Start = Callable[[NDArray, int], NDArray]


def first_partition(
    z: Tensor,
    n_clusters: int,
    weight: Tensor | None,
    rng: torch.Generator,
    reduce: Reduce,
    n_init: int,
    start: Start | None,
) -> tuple[Tensor, Tensor]:
    """First labels and the means of their rows.

    Parameters
    ----------
    z : Tensor of shape (n, d)
        Embedding of all data.
    n_clusters : int
    weight : Tensor of shape (n,) or None
    rng : torch.Generator
        Of k-means, or of the seed that `start` gets.
    reduce : callable
        Sums a statistic over processes.
    n_init : int
        Restarts of k-means.
    start : callable or None
        What gives the labels; None for k-means.

    Returns
    -------
    labels : Tensor of shape (n,)
    centers : Tensor of shape (n_clusters, d), float64
    """
    if start is None:
        found = kmeans(
            z,
            n_clusters,
            generator=rng,
            weight=weight,
            n_init=n_init,
            reduce=reduce,
        )
        return found.labels.to(z.device), found.centers
    seed = int(torch.randint(2**31 - 1, (), generator=rng))
    labels = _checked(start(z.cpu().numpy(), seed), len(z), n_clusters)
    sums, total = map(reduce, cluster_sums(z, labels, n_clusters, weight))
    if bool((total == 0).any()):
        raise ValueError(
            f"The first labels should have rows in all {n_clusters} clusters, got rows "
            f"in {int((total > 0).sum())}."
        )
    return labels.to(z.device), sums / total[:, None]


def _checked(labels: NDArray, n_rows: int, n_clusters: int) -> Tensor:
    labels = np.asarray(plain(labels, "labels"))
    if labels.shape != (n_rows,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"The first labels should be {n_rows} integers, got an array of shape "
            f"{labels.shape} and dtype {labels.dtype}."
        )
    if labels.min() < 0 or labels.max() >= n_clusters:
        raise ValueError(
            f"The first labels should be in [0, {n_clusters}), got {labels.min()} to "
            f"{labels.max()}."
        )
    return torch.as_tensor(labels.astype(np.int64))
