"""Cut a tree of merges where as many large groups stand as there are clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cut_tree(
    merges: NDArray, sizes: NDArray, n_clusters: int, min_size: int
) -> NDArray:
    """Stop merging at the last moment at which `n_clusters` large groups stand.

    Parameters
    ----------
    merges : ndarray of shape (n_merges, 2), int
        The two groups of each merge; merge m makes group n_groups + m.
    sizes : ndarray of shape (n_groups,), int
        Rows of the first groups; there are `n_clusters` of them or more.
    n_clusters : int
    min_size : int
        Rows that make a group large; halved as long as there are never so many.

    Returns
    -------
    labels : ndarray of shape (n_groups,), int
        Cluster of each first group, 0..n_clusters-1, or more of them where no merges
        join them; -1 for groups that are not part of a large one.
    """
    total = np.concatenate([sizes, np.zeros(len(merges), dtype=sizes.dtype)])
    for m, (a, b) in enumerate(merges, start=len(sizes)):
        total[m] = total[a] + total[b]
    stop = _last_moment(merges, total >= min_size, n_clusters)
    while stop is None:
        min_size //= 2
        stop = _last_moment(merges, total >= min_size, n_clusters)
    group = np.arange(len(total))
    for m in range(stop - 1, -1, -1):
        group[merges[m]] = group[len(sizes) + m]
    group = group[: len(sizes)]
    labels = np.full(len(sizes), -1)
    large = total[group] >= min_size
    labels[large] = np.unique(group[large], return_inverse=True)[1]
    return labels


def _last_moment(merges: NDArray, large: NDArray, n_clusters: int) -> int | None:
    """How many merges to make; None where there are never enough large groups."""
    n_groups = len(large) - len(merges)
    change = large[n_groups:].astype(int) - large[merges].sum(axis=1)
    standing = large[:n_groups].sum() + np.concatenate([[0], np.cumsum(change)])
    enough = np.flatnonzero(standing >= n_clusters)
    return int(enough[-1]) if len(enough) else None
