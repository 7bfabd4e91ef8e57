r"""Relaxed memberships with a binary penalty, by alternating proximal minimisation.

.. math::
    \min_{Y, C} \tfrac12 \sum_i w_i \lVert x_i - C^T y_i \rVert^2
        + \lambda \sum_i w_i \sum_j \varphi(y_{ij}), \qquad
    \varphi(y) = 1 - |1 - 2y|, \quad y_{ij} \ge 0, \quad \sum_j y_{ij} = 1

The penalty is 0 where a membership is 0 or 1, and greatest at 1/2. `lambda` grows until
every row of Y is a unit vector, and Y a partition.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skdeepcluster.kmeans.means._euclidean import EuclideanPartition, EuclideanPoints
from skdeepcluster.kmeans.means._euclidean_rows import Frame
from skdeepcluster.kmeans.means._partition import converge
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

# Weight of the step before in that of the centres, relative to the mean mass.
_DAMPING = 1e-3
# Least first penalty, relative to the Lipschitz constant: 187 steps by factors of 1.03.
_LEAST_PENALTY = 1e-3


def simplex_projection(v: Tensor) -> Tensor:
    r"""Project rows on the simplex of memberships.

    Parameters
    ----------
    v : Tensor of shape (n, k)
        Any numbers.

    Returns
    -------
    y : Tensor of shape (n, k)
        Nearest rows with :math:`y_j \ge 0` and :math:`\sum_j y_j = 1`.

    References
    ----------
    J. Duchi, S. Shalev-Shwartz, Y. Singer and T. Chandra, "Efficient projections onto
    the l1-ball for learning in high dimensions", ICML 2008.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import simplex_projection
    >>> simplex_projection(torch.tensor([[0.9, 0.5], [3.0, 1.0]]))
    tensor([[0.7000, 0.3000],
            [1.0000, 0.0000]])
    """
    # Of all rows that differ by a constant the result is the same: large numbers
    # would leave nothing of the 1.
    v = v - v.amax(1, keepdim=True)
    ordered = v.sort(1, descending=True).values
    excess = ordered.cumsum(1) - 1
    count = torch.arange(1, v.shape[1] + 1, dtype=v.dtype, device=v.device)
    n_positive = (ordered * count > excess).sum(1, keepdim=True)
    shift = excess.gather(1, n_positive - 1) / n_positive
    y = (v - shift).clamp_(min=0)
    # Rounding is divided out: a row with one membership has exactly 1.
    return y / y.sum(1, keepdim=True)


def binary_prox(v: Tensor, threshold: float) -> Tensor:
    r"""Proximal operator of the binary penalty on the simplex of memberships.

    The rows that minimise

    .. math::
        \tfrac12 \lVert y - v \rVert^2 + t \sum_j \bigl(1 - |1 - 2 y_j|\bigr),
        \qquad y_j \ge 0, \quad \sum_j y_j = 1 .

    On the simplex at most one membership is above 1/2, and the penalty is
    :math:`2 - 2 \max(0, 2 \max_j y_j - 1)`: it is the smaller of two terms, each of
    which a projection minimises, that of :math:`v` and that of :math:`v + 4 t e_m` with
    :math:`m = \arg\max_j v_j`. With two clusters this is the prox of the penalty entry
    by entry: :math:`\min(1, v + 2t)` for entries of row sum 1 above 1/2, and
    :math:`\max(0, v - 2t)` for the others. From :math:`t = 1/4` on every row is binary.

    Parameters
    ----------
    v : Tensor of shape (n, k)
        Any numbers.
    threshold : float
        Weight t of the penalty, at least 0.

    Returns
    -------
    y : Tensor of shape (n, k)
        Rows of the simplex.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import binary_prox
    >>> binary_prox(torch.tensor([[0.6, 0.4]]), 0.1)
    tensor([[0.8000, 0.2000]])
    """
    plain = simplex_projection(v)
    best = v.argmax(1, keepdim=True)
    bonus = torch.full_like(v[:, :1], 4 * threshold)
    pushed = simplex_projection(v.scatter_add(1, best, bonus))
    reward = 2 * threshold * (2 * pushed.gather(1, best) - 1)[:, 0]
    cost = (pushed - v).square().sum(1) / 2 - reward
    return torch.where((cost < (plain - v).square().sum(1) / 2)[:, None], pushed, plain)


def palm(
    points: EuclideanPoints,
    centers: Tensor,
    *,
    penalty: float,
    penalty_growth: float,
    max_iter: int,
    tol: float,
    dtype: torch.dtype = torch.float64,
    tasks: Tasks = UNWATCHED,
) -> EuclideanPartition:
    """Find a partition by way of relaxed memberships.

    From the partition after one step of Lloyd's iteration, steps for centres and for
    memberships alternate, while the penalty grows; then the largest membership of each
    row is its label, and Lloyd's iteration runs to its fixed point, since every binary
    Y is a local minimum of the penalised problem.

    Parameters
    ----------
    points : EuclideanPoints
        n rows of d features.
    centers : Tensor of shape (k, d), float64
        Where to start.
    penalty : float
        First weight of the penalty, relative to `holding_penalty` of the two centres
        that are nearest to each other.
    penalty_growth : float
        What it is multiplied by after every step.
    max_iter : int
        Most steps, of both kinds together.
    tol : float
        Of Lloyd's iteration.
    dtype : torch.dtype, default=torch.float64
        Arithmetic of the products of dense rows.
    tasks : Tasks, optional
        Of an open start. One that stops during the relaxation takes the largest
        memberships of then.

    Returns
    -------
    partition : EuclideanPartition
    """
    partition = EuclideanPartition(points, centers)
    converge(partition, 1, tol, tasks)
    state = Relaxation(points, partition.centers, dtype)
    threshold = max(penalty * state.holding_penalty(), _LEAST_PENALTY)
    while (
        partition.n_iter < max_iter
        and not tasks.stopped
        and (partition.n_iter == 1 or state.gap() > 0)
    ):
        tasks.iteration_begins()
        state.step(threshold)
        threshold *= penalty_growth
        partition.n_iter += 1
        partition.history.append(state.objective)
        tasks.iteration_ends(state.raw_centers)
    partition.binary_gap = state.gap()
    partition.relabel(state.y.argmax(1))
    partition.history.append(partition.criterion)
    converge(partition, max_iter, tol, tasks)
    return partition


class Relaxation:
    """Memberships and centres between two steps.

    Parameters
    ----------
    points : EuclideanPoints
    centers : Tensor of shape (k, d), float64
    dtype : torch.dtype

    Attributes
    ----------
    y : Tensor of shape (n, k), float64
        Memberships, each row on the simplex.
    centers : Tensor of shape (k, d), float64
        Seen from the mean of all rows, in the unit of `frame`.
    objective : float
        Weighted sum of squared residuals before the last step of the memberships.
    """

    def __init__(
        self, points: EuclideanPoints, centers: Tensor, dtype: torch.dtype
    ) -> None:
        self.points = points
        # A power of two near the length of rows: float32 takes data of any scale.
        _, exponent = math.frexp(points.scatter / float(points.weight.sum()))
        self.frame = Frame(points.mean[0], 2.0 ** (exponent // 2), dtype)
        labels = points.rows.nearest(centers.to(points.device))
        self.y = torch.zeros(
            len(points), len(centers), dtype=torch.float64, device=points.device
        )
        self.y.scatter_(1, labels[:, None], 1.0)
        self.centers = (centers.to(points.device) - points.mean) / self.frame.unit
        self.objective = torch.inf

    @property
    def raw_centers(self) -> Tensor:
        """Centres among the rows as they are, (k, d)."""
        return self.centers * self.frame.unit + self.points.mean

    def gap(self) -> float:
        """How far memberships are from 0 and 1, at most."""
        return float(self.y.minimum(1 - self.y).max())

    def holding_penalty(self) -> float:
        r"""Penalty from which no row midway between two centres leaves its own.

        A row of cluster a gains :math:`\tfrac12 (d_a - d_b + \lVert c_a - c_b
        \rVert^2)` per unit of membership that goes to b, with squared distances d, and
        pays :math:`4 \lambda`. Of the two nearest centres, relative to the Lipschitz
        constant of the step.
        """
        distances = torch.pdist(self.centers).square()
        apart = distances[distances > 0]
        nearest = float(apart.min()) if len(apart) else 0.0
        return nearest / 8 / self._lipschitz(self.centers @ self.centers.T)

    def step(self, penalty: float) -> None:
        """Move the centres, then the memberships; `penalty` is relative as above."""
        self._move_centers()
        gram = self.centers @ self.centers.T  # (k, k)
        lipschitz = self._lipschitz(gram)
        rows = self.points.rows.products(self.centers, self.frame)
        for part, products in rows:  # (b, k)
            gradient = self.y[part] @ gram - products
            # Weights scale gradient, curvature and penalty of a row alike.
            self.y[part] = binary_prox(self.y[part] - gradient / lipschitz, penalty)

    def _lipschitz(self, gram: Tensor) -> float:
        """Constant of the gradient; 1 where all centres are one, and none counts."""
        return float(torch.linalg.matrix_norm(gram, 2)) or 1.0

    def _move_centers(self) -> None:
        """Minimise over the centres, exactly but for a little damping.

        The damping keeps the centre of a cluster without members where it was.
        """
        weighted = self.y * self.points.weight[:, None]
        gram = weighted.T @ self.y  # (k, k)
        sums = self.points.rows.mixed_sums(weighted, self.frame)
        damping = _DAMPING * float(gram.trace()) / len(gram)
        eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        self.centers = torch.linalg.solve(
            gram + damping * eye, sums + damping * self.centers
        )
        fitted = (gram * (self.centers @ self.centers.T)).sum()
        crossed = (sums * self.centers).sum()
        gained = float(fitted - 2 * crossed) * self.frame.unit**2
        self.objective = max(self.points.scatter + gained, 0.0)
