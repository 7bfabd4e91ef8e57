"""The two halves of a Lloyd step: nearest centres, and sums per cluster."""

import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import (
    check_centers,
    check_count,
    check_rows,
    check_weight,
    row_blocks,
    summation_error,
)

_FEW = 2**15  # differences of two numbers
# Part of a mean of rows by which rounding may have moved it.
MEAN_ERROR = 2 * summation_error(1024)


def nearest_center(x: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    r"""Find the nearest centre of every row.

    .. math::
        l_i = \arg\min_j \lVert x_i - c_j \rVert^2

    A row's answer depends on that row and the centres alone: not on the rows beside
    it, nor on the number of threads.

    Parameters
    ----------
    x : Tensor of shape (n, d), float32 or float64
        The rows, on any device.
    centers : Tensor of shape (k, d)
        The centres.

    Returns
    -------
    labels : Tensor of shape (n,), int64
        Index of the nearest centre; of several at the same distance, the lowest.
    squared_distances : Tensor of shape (n,), float64
        Squared Euclidean distance to that centre, from explicit differences. Both are
        on the device of `x`, or on the host where that device has no float64.

    Raises
    ------
    ValueError
        If the shapes do not match or `centers` is not finite.
    TypeError
        If `x` or `centers` is neither float32 nor float64.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import nearest_center
    >>> nearest_center(torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [4.0]]))
    (tensor([0, 1]), tensor([1., 0.], dtype=torch.float64))
    """
    x = check_rows(x)
    centers = check_centers(centers, x)
    labels = nearest_labels(x, centers)
    return labels, squared_distances(x, centers, labels)


def cluster_sums(
    x: Tensor, labels: Tensor, n_clusters: int, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Sum the rows and the weights of every cluster.

    .. math::
        s_j = \sum_{i: l_i = j} w_i x_i, \qquad m_j = \sum_{i: l_i = j} w_i

    On the CPU every cluster is summed in the order of its rows, whatever the number of
    threads; on other devices by matrix products.

    Parameters
    ----------
    x : Tensor of shape (n, d), float32 or float64
        The rows.
    labels : Tensor of shape (n,), int64
        Cluster of each row, in ``range(n_clusters)``.
    n_clusters : int
        Number of clusters, k.
    weight : Tensor of shape (n,), default=None
        Non-negative weight of each row; None counts every row once.

    Returns
    -------
    sums : Tensor of shape (k, d), float64
        Weighted sums; zero for a cluster without rows.
    weights : Tensor of shape (k,), float64
        Total weight of each cluster.

    Raises
    ------
    ValueError
        If the shapes do not match, a label is out of range or a weight is negative.
    TypeError
        If `x` is neither float32 nor float64.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import cluster_sums
    >>> x = torch.tensor([[1.0], [2.0], [4.0]])
    >>> cluster_sums(x, torch.tensor([0, 1, 1]), 2)[0].tolist()
    [[1.0], [6.0]]
    """
    x = check_rows(x)
    check_count(n_clusters, "n_clusters")
    labels = _check_labels(labels, x, n_clusters)
    return sums_by_label(x, labels, n_clusters, check_weight(weight, x))


def nearest_labels(x: Tensor, centers: Tensor, *, rounded: bool = False) -> Tensor:
    """Label checked rows: a matrix product decides what it can decide for certain.

    Its rounding, which changes with the number of rows and threads, can mislead only
    where two centres are almost equally near; there explicit differences decide.
    `rounded` centres are means, whose own rounding is to have no say either.
    """
    if few_pairs(x, centers):
        return _nearest_explicitly(x, centers, rounded)
    n_clusters, n_features = centers.shape
    # Seen from the middle of the centres, a large common offset costs no digits.
    origin = centers.mean(0)
    moved = centers - origin
    half_norms = moved.square().sum(1, keepdim=True) / 2  # (k, 1)
    widest = (2 * half_norms.max()).sqrt()
    tolerance = 4 * (n_features + 8) * torch.finfo(torch.float64).eps
    shaken = 4 * MEAN_ERROR * centers.norm(dim=1).max() if rounded else 0.0
    reading = torch.ones(2, n_clusters, dtype=torch.float64, device=x.device)
    torch.arange(n_clusters, out=reading[0])
    labels = torch.empty(len(x), dtype=torch.int64, device=x.device)
    for rows in row_blocks(len(x), max(centers.shape), x.device):
        block = x[rows].to(torch.float64)
        seen = block - origin
        # half the squared norm of the row, less half its squared distance
        score = (moved @ seen.T).sub_(half_norms)  # (k, b)
        flat = seen.flatten()
        size = (flat @ flat).sqrt() + widest
        margin = (tolerance * size + shaken) * size  # bounds all rounding
        near = score.ge_(score.amax(0) - margin)  # 0. or 1.
        # One product reads off the index of the near centre and how many are near;
        # torch's argmax over a short axis takes several times as long.
        found, n_near = reading @ near
        if float(n_near.max()) > 1:
            unsure = n_near > 1
            explicit = _nearest_explicitly(block[unsure], centers, rounded)
            found[unsure] = explicit.to(torch.float64)
        labels[rows] = found
    return labels


def _nearest_explicitly(x: Tensor, centers: Tensor, rounded: bool) -> Tensor:
    distances = explicit_distances(x, centers)
    if not rounded:
        return distances.argmin(1)
    error = MEAN_ERROR * (distances + centers.norm(dim=1))
    return first_nearest(distances, error)


def first_nearest(distances: Tensor, error: Tensor) -> Tensor:
    """First of the nearest means, (n,), beyond what rounding tells apart.

    Parameters
    ----------
    distances : Tensor of shape (n, k)
    error : Tensor of shape (n, k)
        By how much each may be wrong.
    """
    nearest = (distances + error).amin(1, keepdim=True)
    return (distances - error <= nearest).to(torch.uint8).argmax(1)


def few_pairs(x: Tensor, centers: Tensor) -> bool:
    """Tell whether explicit differences beat the overhead of a matrix product."""
    return x.numel() * len(centers) <= _FEW


def explicit_distances(x: Tensor, centers: Tensor) -> Tensor:
    """Measure every pair by itself: its bits depend on these two points alone."""
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(x.to(torch.float64), centers, compute_mode=mode)  # (n, k)


def squared_distances(x: Tensor, centers: Tensor, labels: Tensor) -> Tensor:
    """Measure checked rows against the centre of their label."""
    distances = torch.empty(len(x), dtype=torch.float64, device=x.device)
    for rows in row_blocks(len(x), x.shape[1], x.device):
        block = x[rows].to(torch.float64)
        distances[rows] = (block - centers[labels[rows]]).square_().sum(1)
    return distances


def sums_by_label(
    x: Tensor, labels: Tensor, n_clusters: int, weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Sum checked rows and weights by cluster."""
    if x.device.type != "cpu":
        return _products_by_label(x, labels, n_clusters, weight)
    sums = torch.zeros(n_clusters, x.shape[1], dtype=torch.float64, device=x.device)
    for rows in row_blocks(*x.shape):
        block = x[rows].to(torch.float64)
        if weight is not None:
            block = block * weight[rows, None]
        sums.index_add_(0, labels[rows], block)
    weights = torch.bincount(labels, weight, minlength=n_clusters)
    return sums, weights.to(torch.float64)


def _products_by_label(
    x: Tensor, labels: Tensor, n_clusters: int, weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As matrix products: an accelerator would add row by row in any order."""
    clusters = torch.arange(n_clusters, device=x.device).unsqueeze(1)
    sums = torch.zeros(n_clusters, x.shape[1], dtype=torch.float64, device=x.device)
    weights = torch.zeros_like(sums[:, 0])
    for rows in row_blocks(len(x), max(sums.shape), x.device):
        belongs = (labels[rows] == clusters).to(torch.float64)  # (k, b)
        if weight is not None:
            belongs *= weight[rows]
        sums += belongs @ x[rows].to(torch.float64)
        weights += belongs.sum(1)
    return sums, weights


def _check_labels(labels: Tensor, x: Tensor, n_clusters: int) -> Tensor:
    if labels.shape != x.shape[:1]:
        raise ValueError(
            f"labels should have shape ({len(x)},), got {tuple(labels.shape)}."
        )
    labels = labels.to(device=x.device, dtype=torch.int64)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_clusters:
        raise ValueError(
            f"labels should be in [0, {n_clusters}), "
            f"got {int(labels.min())} to {int(labels.max())}."
        )
    return labels
