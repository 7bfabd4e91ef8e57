"""K-means as a factorization of the data, by three solvers, with restarts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skdeepcluster.kmeans.means._euclidean import EuclideanPartition, EuclideanPoints
from skdeepcluster.kmeans.means._hartigan import hartigan
from skdeepcluster.kmeans.means._palm import palm
from skdeepcluster.kmeans.means._partition import best_start, converge
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

SOLVERS = ("lloyd", "hartigan", "palm")


def factorize(
    points: EuclideanPoints,
    start: Callable[[], Tensor],
    *,
    solver: str = "lloyd",
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-8,
    penalty: float = 0.5,
    penalty_growth: float = 1.03,
    dtype: torch.dtype = torch.float64,
    tasks: Tasks = UNWATCHED,
) -> EuclideanPartition:
    """Run k-means from several starts; returns the best partition.

    Parameters
    ----------
    points : EuclideanPoints
        n rows of d features.
    start : callable
        Gives the centres of each start, (k, d).
    solver : {"lloyd", "hartigan", "palm"}, default="lloyd"
    n_init : int, default=1
    max_iter : int, default=300
        Most steps of one start.
    tol : float, default=1e-8
        A start ends when the criterion falls by less, relatively.
    penalty, penalty_growth : float
        Of `palm`.
    dtype : torch.dtype, default=torch.float64
        Of `palm`.
    tasks : Tasks, optional

    Returns
    -------
    partition : EuclideanPartition
    """

    def run() -> EuclideanPartition:
        if solver == "palm":
            return palm(
                points,
                start(),
                penalty=penalty,
                penalty_growth=penalty_growth,
                max_iter=max_iter,
                tol=tol,
                dtype=dtype,
                tasks=tasks,
            )
        found = EuclideanPartition(points, start())
        (hartigan if solver == "hartigan" else converge)(found, max_iter, tol, tasks)
        return found

    return best_start(run, n_init, tasks)
