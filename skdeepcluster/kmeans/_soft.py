r"""Soft k-means at a fixed temperature.

.. math::
    J = \sum_i w_i \Bigl( \sum_k q_{ik} \lVert x_i - c_k \rVert^2
        + T \sum_k q_{ik} \ln q_{ik} \Bigr), \qquad
    q_i = \mathrm{softmax}_k \bigl( -\lVert x_i - c_k \rVert^2 / T \bigr), \qquad
    c_k = \frac{\sum_i w_i q_{ik} x_i}{\sum_i w_i q_{ik}}
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skdeepcluster.kmeans._assignment import explicit_distances
from skdeepcluster.kmeans._lloyd import move_threshold
from skdeepcluster.kmeans._rows import (
    check_centers,
    check_count,
    check_finite_rows,
    check_weight,
    fixed_order_sum,
    row_blocks,
)
from skdeepcluster.utils._reduce import Reduce, identity


@dataclass(frozen=True, eq=False)
class SoftKMeansResult:
    """What soft k-means found.

    Attributes
    ----------
    centers : Tensor of shape (k, d), float64
        The centres: means weighted by `memberships`, but for the last step.
    memberships : Tensor of shape (n, k), float64
        Soft assignments to these centres; rows sum to 1.
    objectives : list of float
        J after every iteration; it never rises.
    """

    centers: Tensor
    memberships: Tensor
    objectives: list[float]


def soft_kmeans(
    x: Tensor,
    centers: Tensor,
    temperature: float,
    *,
    weight: Tensor | None = None,
    max_iter: int = 300,
    tol: float = 1e-8,
    reduce: Reduce = identity,
) -> SoftKMeansResult:
    r"""Alternate soft assignments and means from given centres.

    Either step is the exact minimum of

    .. math::
        J = \sum_i w_i \Bigl( \sum_k q_{ik} \lVert x_i - c_k \rVert^2
        + T \sum_k q_{ik} \ln q_{ik} \Bigr)

    over its own variables, so J never rises. As T falls to 0 this becomes
    :func:`lloyd`; above twice the largest eigenvalue of the covariance of `x` centres
    near the mean merge there [1]_.

    Parameters
    ----------
    x : Tensor of shape (n, d), float32 or float64
        The rows, on any device.
    centers : Tensor of shape (k, d)
        Where to start.
    temperature : float
        T, in units of a squared distance; above 0.
    weight : Tensor of shape (n,), default=None
        Non-negative weight of each row; None counts every row once.
    max_iter : int, default=300
        Most iterations to run.
    tol : float, default=1e-8
        Ends where the squared moves of the centres sum to at most `tol` times the mean
        variance of the features.
    reduce : callable, default=identity
        Sums a float64 tensor of statistics over the processes that hold the rows.

    Returns
    -------
    SoftKMeansResult

    Raises
    ------
    ValueError
        If the shapes do not match, `x` or `centers` is not finite, a weight is
        negative, `temperature` is not above 0, `max_iter` below 1 or `tol` below 0.
    TypeError
        If `x` or `centers` is neither float32 nor float64.

    References
    ----------
    .. [1] K. Rose, E. Gurewitz and G. C. Fox, "Statistical mechanics and phase
       transitions in clustering", Physical Review Letters 65(8), 1990, pages 945-948.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import soft_kmeans
    >>> x = torch.tensor([[0.0], [1.0], [9.0], [11.0]])
    >>> soft_kmeans(x, x[:2], 1e-3).centers.flatten().tolist()
    [0.5, 10.0]
    """
    check_count(max_iter, "max_iter")
    x = check_finite_rows(x)
    centers = check_centers(centers, x)
    weight = check_weight(weight, x)
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} should be > 0.")
    threshold = move_threshold(x, weight, tol, reduce)
    objectives: list[float] = []
    q = soft_log_memberships(x, centers, temperature).exp()
    for _ in range(max_iter):
        before = centers
        centers = soft_means(x, q, centers, weight, reduce)
        log_q = soft_log_memberships(x, centers, temperature)
        q = log_q.exp()
        cost = (q * (_squared(x, centers) + temperature * log_q)).sum(dim=1)
        cost = cost if weight is None else cost * weight
        objectives.append(float(reduce(fixed_order_sum(cost))))
        if float((centers - before).square().sum()) <= threshold:
            break
    return SoftKMeansResult(centers, q, objectives)


def soft_log_memberships(x: Tensor, centers: Tensor, temperature: float) -> Tensor:
    r"""Log of the soft assignments to centres.

    .. math:: q_i = \mathrm{softmax}_k \bigl( -\lVert x_i - c_k \rVert^2 / T \bigr)

    Distances come from explicit differences: a row's answer does not depend on the
    others.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    centers : Tensor of shape (k, d), float64
    temperature : float
        T > 0.

    Returns
    -------
    log_q : Tensor of shape (n, k), float64
    """
    return (-_squared(x, centers) / temperature).log_softmax(dim=1)


def soft_means(
    x: Tensor,
    memberships: Tensor,
    centers: Tensor,
    weight: Tensor | None = None,
    reduce: Reduce = identity,
) -> Tensor:
    r"""Means of the rows, weighted by their memberships.

    .. math:: c_k = \frac{\sum_i w_i q_{ik} x_i}{\sum_i w_i q_{ik}}

    Parameters
    ----------
    x : Tensor of shape (n, d)
    memberships : Tensor of shape (n, k), float64
    centers : Tensor of shape (k, d), float64
        What clusters keep of which no row is a member.
    weight : Tensor of shape (n,), default=None
        Non-negative weight of each row; None counts every row once.
    reduce : callable, default=identity
        Sums a float64 tensor of statistics over the processes that hold the rows.

    Returns
    -------
    centers : Tensor of shape (k, d), float64
    """
    q = memberships if weight is None else memberships * weight[:, None]
    sums = torch.zeros_like(centers)
    for rows in row_blocks(len(x), x.shape[1], x.device):
        sums += q[rows].T @ x[rows].to(torch.float64)
    total = reduce(q.sum(dim=0))[:, None]
    safe = total.clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(total > 0, reduce(sums) / safe, centers)


def _squared(x: Tensor, centers: Tensor) -> Tensor:
    return explicit_distances(x, centers).square()
