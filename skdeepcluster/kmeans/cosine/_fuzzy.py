r"""Fuzzy spherical k-means.

.. math::
    \Phi = \sum_i w_i \sum_j u_{ij}^m d_{ij}, \qquad d_{ij} = 1 - \cos(x_i, c_j),
    \qquad
    u_{ij} = \frac{d_{ij}^{-1/(m-1)}}{\sum_l d_{il}^{-1/(m-1)}}, \qquad
    c_j \propto \sum_i w_i u_{ij}^m \frac{x_i}{\lVert x_i \rVert}
"""

from __future__ import annotations

import torch
from torch import Tensor

from skdeepcluster.kmeans.cosine._assignment import cosine_blocks
from skdeepcluster.kmeans.cosine._partition import Partition
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

_SAME_DIRECTION = 1e-14
# Shorter sums have squares that leave the range of float64.
_NOTHING = 1e-140


def fuzzy_memberships(distances: Tensor, fuzziness: float) -> Tensor:
    """Memberships of rows in clusters.

    Parameters
    ----------
    distances : Tensor of shape (n, k), float64
        Cosine distances.
    fuzziness : float
        The exponent m > 1.

    Returns
    -------
    memberships : Tensor of shape (n, k)
        Rows sum to 1. A row at distance zero of centres belongs to these alone, to
        each equally.
    """
    smallest = distances.amin(1, keepdim=True)
    # Relative to the nearest: no power overflows.
    ratio = smallest / distances.clamp(min=_SAME_DIRECTION)
    u = ratio.clamp_(max=1).pow_(1 / (fuzziness - 1))
    at_center = distances <= _SAME_DIRECTION
    u = torch.where(at_center.any(1, keepdim=True), at_center.to(u), u)
    return u / u.sum(1, keepdim=True)


def converge_fuzzy(
    partition: Partition,
    fuzziness: float,
    max_iter: int,
    tol: float,
    tasks: Tasks = UNWATCHED,
) -> Partition:
    """Alternate memberships and centres until the criterion stands.

    Parameters
    ----------
    partition : Partition
        Changed in place; its matrix takes products in float64. Labels are not set.
    fuzziness : float
    max_iter : int
    tol : float
        Smallest relative fall of the criterion to go on for.
    tasks : Tasks, optional
        Of an open start.

    Returns
    -------
    partition : Partition
        `criterion` is that of the centres before the last step.
    """
    while partition.n_iter < max_iter and not tasks.stopped:
        before = partition.criterion
        partition.n_iter += 1
        tasks.iteration_begins()
        sums, criterion = _step(partition, fuzziness)
        sums = partition.reduce(sums)
        # Where the rows cancel, or their powers vanish, the centre stays.
        lost = torch.linalg.vector_norm(sums, dim=1) < _NOTHING
        sums[lost] = partition.centers.unit()[lost]
        partition.centers = partition.matrix.centers_type(sums)
        partition.criterion = float(partition.reduce(criterion))
        tasks.iteration_ends(partition)
        if before - partition.criterion <= tol * partition.criterion:
            break
    return partition


def fuzzy_criterion(partition: Partition, fuzziness: float) -> float:
    """Criterion of the centres as they are, with the memberships they give."""
    return float(_step(partition, fuzziness)[1])


def _step(partition: Partition, fuzziness: float) -> tuple[Tensor, Tensor]:
    matrix, k = partition.matrix, len(partition.centers)
    sums = torch.zeros(k, matrix.shape[1], dtype=torch.float64)
    criterion = torch.zeros((), dtype=torch.float64)
    for rows, cosines in cosine_blocks(matrix, partition.centers):
        distances = (1 - cosines).clamp_(min=0)
        shares = fuzzy_memberships(distances, fuzziness).pow_(fuzziness)
        criterion += (shares * distances).sum(1) @ partition.weight[rows]
        sums += matrix.mixed_sums(rows, shares * partition.scale[rows, None])
    return sums, criterion
