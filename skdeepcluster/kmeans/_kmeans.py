"""K-means with restarts."""

import torch
from torch import Tensor

from skdeepcluster.kmeans._lloyd import KMeansResult, iterate, move_threshold
from skdeepcluster.kmeans._rows import (
    check_count,
    check_enough_rows,
    check_finite_rows,
    check_weight,
)
from skdeepcluster.kmeans._seeding import choose_centers
from skdeepcluster.utils._reduce import Reduce, identity


def kmeans(
    x: Tensor,
    n_clusters: int,
    *,
    generator: torch.Generator,
    weight: Tensor | None = None,
    n_init: int = 20,
    max_iter: int = 300,
    tol: float = 1e-4,
    reduce: Reduce = identity,
) -> KMeansResult:
    r"""Cluster rows by k-means, the best of several starts.

    Every start is seeded by :func:`kmeans_plus_plus` and run by :func:`lloyd`; the one
    of lowest

    .. math::
        J = \sum_i w_i \min_j \lVert x_i - c_j \rVert^2

    is returned, the earliest where several reach it.

    Parameters
    ----------
    x : Tensor of shape (n, d), float32 or float64
        The rows, on any device.
    n_clusters : int
        Number of clusters, k.
    generator : torch.Generator
        A generator of the CPU, the only source of randomness. The starts draw from it
        in turn, so more starts never give a higher inertia.
    weight : Tensor of shape (n,), default=None
        Non-negative weight of each row; None counts every row once.
    n_init : int, default=20
        Number of starts.
    max_iter : int, default=300
        Most iterations of one start.
    tol : float, default=1e-4
        Tolerance of :func:`lloyd`, relative to the mean variance of the features.
    reduce : callable, default=identity
        Sums a float64 tensor of statistics over the processes that hold the rows, as in
        :func:`lloyd`. Seeding sees the rows of its own process only.

    Returns
    -------
    KMeansResult
        Centres, labels, inertia and number of iterations of the best start.

    Raises
    ------
    ValueError
        If there are fewer rows than clusters, a weight is negative or all are zero, the
        shapes do not match, `x` is not finite, a count is below 1 or `tol` below 0.
    TypeError
        If `x` is neither float32 nor float64.

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information
    Theory 28(2), 1982, pages 129-137.

    D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding",
    SODA 2007, pages 1027-1035.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import kmeans
    >>> x = torch.tensor([[0.0], [1.0], [9.0], [11.0]])
    >>> result = kmeans(x, 2, generator=torch.Generator().manual_seed(0))
    >>> sorted(result.centers.flatten().tolist()), result.inertia
    ([0.5, 10.0], 2.5)
    """
    check_count(n_init, "n_init")
    check_count(max_iter, "max_iter")
    x = check_finite_rows(x)
    check_enough_rows(x, n_clusters)
    weight = check_weight(weight, x)
    threshold = move_threshold(x, weight, tol, reduce)

    def start() -> KMeansResult:
        centers = choose_centers(x, n_clusters, weight, generator)
        return iterate(x, centers, weight, max_iter, threshold, reduce)

    return min((start() for _ in range(n_init)), key=lambda found: found.inertia)
