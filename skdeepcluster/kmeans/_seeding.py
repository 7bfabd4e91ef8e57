"""Greedy k-means++ seeding."""

import math

import torch
from torch import Tensor

from skdeepcluster.kmeans._assignment import (
    explicit_distances,
    few_pairs,
    squared_distances,
)
from skdeepcluster.kmeans._rows import (
    check_enough_rows,
    check_finite_rows,
    check_total_weight,
    check_weight,
    fixed_order_sum,
    row_blocks,
)


def kmeans_plus_plus(
    x: Tensor,
    n_clusters: int,
    *,
    generator: torch.Generator,
    weight: Tensor | None = None,
) -> Tensor:
    r"""Choose rows as starting centres by greedy k-means++.

    The first centre is drawn in proportion to the weights. Each further one is the best
    of :math:`2 + \lfloor \log k \rfloor` rows drawn with probability

    .. math::
        p_i \propto w_i \min_j \lVert x_i - c_j \rVert^2 ,

    best being the one that leaves the smallest sum of these terms.

    Parameters
    ----------
    x : Tensor of shape (n, d), float32 or float64
        The rows, on any device.
    n_clusters : int
        Number of centres, k.
    generator : torch.Generator
        A generator of the CPU, the only source of randomness.
    weight : Tensor of shape (n,), default=None
        Non-negative weight of each row; None counts every row once. A row of weight
        zero is never drawn.

    Returns
    -------
    centers : Tensor of shape (k, d), float64
        Rows of `x`. They repeat only where fewer than k rows differ.

    Raises
    ------
    ValueError
        If there are fewer rows than clusters, a weight is negative or all are zero, `x`
        is not finite or the shapes do not match.
    TypeError
        If `x` is neither float32 nor float64.

    References
    ----------
    D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding",
    SODA 2007, pages 1027-1035; the greedy choice is in their section 8.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.kmeans import kmeans_plus_plus
    >>> x = torch.tensor([[0.0], [0.0], [5.0]])
    >>> centers = kmeans_plus_plus(x, 2, generator=torch.Generator().manual_seed(0))
    >>> sorted(centers.flatten().tolist())
    [0.0, 5.0]
    """
    x = check_finite_rows(x)
    check_enough_rows(x, n_clusters)
    weight = check_weight(weight, x)
    if weight is not None:
        check_total_weight(fixed_order_sum(weight))
    return choose_centers(x, n_clusters, weight, generator)


def choose_centers(
    x: Tensor, n_clusters: int, weight: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Seed from checked rows and weights."""
    if weight is None:
        weight = torch.ones(len(x), dtype=torch.float64, device=x.device)
    n_trials = 2 + int(math.log(n_clusters))
    centers = torch.empty(n_clusters, x.shape[1], dtype=torch.float64, device=x.device)
    centers[0] = x[draw_rows(weight, 1, generator)[0]]
    closest = distances_to(x, centers[0])
    for j in range(1, n_clusters):
        mass = weight * closest
        if not bool(mass.any()):  # every distinct row is a centre already
            mass = weight
        candidates = x[draw_rows(mass, n_trials, generator)].to(torch.float64)
        centers[j] = candidates[_best(x, candidates, closest, weight)]
        closest = torch.minimum(closest, distances_to(x, centers[j]))
    return centers


def draw_rows(mass: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw rows, with replacement, in proportion to their mass."""
    cumulated = mass.cumsum(0)
    uniform = torch.rand(size, dtype=torch.float64, generator=generator)
    # To the right of a tie, so that a row without mass is never met; a product with a
    # subnormal total may round up to it, past the last row that has mass.
    drawn = torch.searchsorted(
        cumulated, uniform.to(mass.device) * cumulated[-1], right=True
    )
    return drawn.minimum(torch.searchsorted(cumulated, cumulated[-1]))


def distances_to(x: Tensor, center: Tensor) -> Tensor:
    # Explicit differences: a centre's own copies are at zero and not drawn again.
    labels = torch.zeros(1, dtype=torch.int64, device=x.device).expand(len(x))
    return squared_distances(x, center[None], labels)


def _best(x: Tensor, candidates: Tensor, closest: Tensor, weight: Tensor) -> int:
    """Find the candidate that leaves the smallest potential."""
    return first_smallest(potentials(x, candidates, closest, weight))


def first_smallest(values: Tensor) -> int:
    """Find the first of the smallest: the rounding of the products has no say."""
    return int((values <= values.min() * (1 + 1e-9)).nonzero()[0])


def potentials(
    x: Tensor, candidates: Tensor, closest: Tensor, weight: Tensor
) -> Tensor:
    """Sum the weighted distances that each candidate would leave."""
    if few_pairs(x, candidates):
        distances = explicit_distances(x, candidates).T.square()  # (t, n)
        return (distances.minimum(closest) * weight).sum(1)
    origin = candidates.mean(0)
    moved = candidates - origin
    norms = moved.square().sum(1, keepdim=True)  # (t, 1)
    sums = torch.zeros_like(norms[:, 0])
    for rows in row_blocks(len(x), max(candidates.shape), x.device):
        seen = x[rows].to(torch.float64) - origin
        distances = (moved @ seen.T).mul_(-2).add_(norms)  # (t, b)
        distances.add_(seen.square().sum(1)).clamp_(min=0)
        sums += distances.minimum(closest[rows]).mul_(weight[rows]).sum(1)
    return sums
