"""Lloyd's iteration from given centres."""

from dataclasses import dataclass

import torch
from torch import Tensor

from skdeepcluster.kmeans._assignment import (
    nearest_center,
    nearest_labels,
    squared_distances,
    sums_by_label,
)
from skdeepcluster.kmeans._rows import (
    check_centers,
    check_count,
    check_finite_rows,
    check_total_weight,
    check_weight,
    fixed_order_sum,
)
from skdeepcluster.utils._reduce import Reduce, identity


@dataclass(frozen=True, eq=False)
class KMeansResult:
    """What k-means found.

    Attributes
    ----------
    centers : Tensor of shape (k, d), float64
        The centres.
    labels : Tensor of shape (n,), int64
        Nearest of these centres for every row, as `nearest_center` gives it. Where
        fewer than k rows differ, fewer than k labels occur.
    inertia : float
        Weighted sum of squared distances to the nearest centre.
    n_iter : int
        Number of iterations run.
    """

    centers: Tensor
    labels: Tensor
    inertia: float
    n_iter: int


def lloyd(
    x: Tensor,
    centers: Tensor,
    *,
    weight: Tensor | None = None,
    max_iter: int = 300,
    tol: float = 1e-4,
    reduce: Reduce = identity,
) -> KMeansResult:
    r"""Run Lloyd's k-means from given centres.

    Assigning rows to their nearest centre and moving each centre to the mean of its
    rows in turn never raises

    .. math::
        J = \sum_i w_i \min_j \lVert x_i - c_j \rVert^2 .

    It ends when no label changes or when the squared moves of the centres sum to at
    most `tol` times the mean variance of the features. The centre of a cluster that
    loses all its weight moves onto the row farthest from its own centre, of those whose
    cluster keeps another row.

    Parameters
    ----------
    x : Tensor of shape (n, d), float32 or float64
        The rows, on any device.
    centers : Tensor of shape (k, d)
        Where to start.
    weight : Tensor of shape (n,), default=None
        Non-negative weight of each row; None counts every row once.
    max_iter : int, default=300
        Most iterations to run.
    tol : float, default=1e-4
        Tolerance, relative to the mean variance of the features.
    reduce : callable, default=identity
        Sums a float64 tensor of statistics over the processes that hold the rows. Every
        process calls it equally often. A cluster that empties takes each process's own
        farthest row.

    Returns
    -------
    KMeansResult
        Centres, labels, inertia and number of iterations. Inertia and iterations count
        the rows of all processes, labels those of this one.

    Raises
    ------
    ValueError
        If the shapes do not match, `x` or `centers` is not finite, a weight is
        negative or all are zero, `max_iter` is below 1 or `tol` below 0.
    TypeError
        If `x` or `centers` is neither float32 nor float64.

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information
    Theory 28(2), 1982, pages 129-137.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import lloyd
    >>> x = torch.tensor([[0.0], [1.0], [9.0], [11.0]])
    >>> result = lloyd(x, x[:2])
    >>> result.centers.flatten().tolist(), result.inertia
    ([0.5, 10.0], 2.5)
    """
    check_count(max_iter, "max_iter")
    x = check_finite_rows(x)
    centers = check_centers(centers, x)
    weight = check_weight(weight, x)
    threshold = move_threshold(x, weight, tol, reduce)
    return iterate(x, centers, weight, max_iter, threshold, reduce)


def move_threshold(
    x: Tensor, weight: Tensor | None, tol: float, reduce: Reduce
) -> float:
    """Turn the tolerance into a squared distance, in the units of the data."""
    if not tol >= 0:
        raise ValueError(f"tol={tol} should be >= 0.")
    one_cluster = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    sums, total = map(reduce, sums_by_label(x, one_cluster, 1, weight))
    check_total_weight(total)
    deviation = _inertia(squared_distances(x, sums / total, one_cluster), weight)
    return tol * float(reduce(deviation) / total) / x.shape[1]


def iterate(
    x: Tensor,
    centers: Tensor,
    weight: Tensor | None,
    max_iter: int,
    threshold: float,
    reduce: Reduce,
) -> KMeansResult:
    """Run Lloyd's iteration on checked input."""
    labels = torch.full((len(x),), -1, device=x.device)
    for n_iter in range(1, max_iter + 1):  # noqa: B007
        previous, labels = labels, nearest_labels(x, centers)
        n_changed = (labels != previous).sum(dtype=torch.float64)
        if not float(reduce(n_changed)):
            break
        previous_centers = centers
        centers = _mean_centers(x, labels, centers, weight, reduce)
        moves = (centers - previous_centers).square().sum(1)
        if float(fixed_order_sum(moves)) <= threshold:
            break
    labels, distances = nearest_center(x, centers)
    inertia = float(reduce(_inertia(distances, weight)))
    return KMeansResult(centers, labels, inertia, n_iter)


def _inertia(distances: Tensor, weight: Tensor | None) -> Tensor:
    return fixed_order_sum(distances if weight is None else distances * weight)


def _mean_centers(
    x: Tensor, labels: Tensor, centers: Tensor, weight: Tensor | None, reduce: Reduce
) -> Tensor:
    """Move every centre to the mean of its rows, and those without rows to new ones."""
    sums, total = map(reduce, sums_by_label(x, labels, len(centers), weight))
    empty = (total == 0).nonzero().squeeze(1).tolist()
    if empty:
        labels = _relocate(x, labels, centers, weight, empty)
        sums, total = map(reduce, sums_by_label(x, labels, len(centers), weight))
    # With no row left to give, a centre stays where it was.
    return torch.where(total[:, None] > 0, sums / total[:, None], centers)


def _relocate(
    x: Tensor, labels: Tensor, centers: Tensor, weight: Tensor | None, empty: list[int]
) -> Tensor:
    """Give the farthest rows, with all their copies, to the empty clusters.

    A cluster of equal rows gives none: it would only trade places with the empty one,
    for ever, where fewer rows differ than there are clusters.
    """
    labels = labels.clone()
    distances = squared_distances(x, centers, labels)
    counts = torch.ones_like(labels, dtype=torch.bool) if weight is None else weight > 0
    distances.mul_(counts)
    while empty and bool(distances.any()):
        farthest = int(distances.argmax())
        donor = labels == labels[farthest]
        copies = donor & (x == x[farthest]).all(1)
        distances[copies] = 0
        if bool((donor & counts & ~copies).any()):
            labels[copies] = empty[0]
            empty = empty[1:]
    return labels
