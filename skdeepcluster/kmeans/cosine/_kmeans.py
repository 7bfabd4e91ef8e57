"""Spherical k-means with restarts: exact, fuzzy, or in mini-batches."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import CANCELLED, fixed_order_sum
from skdeepcluster.kmeans.cosine._assignment import own_cosine_distances
from skdeepcluster.kmeans.cosine._bounds import HamerlyStep
from skdeepcluster.kmeans.cosine._elkan import ElkanStep
from skdeepcluster.kmeans.cosine._first_variation import local_search
from skdeepcluster.kmeans.cosine._fuzzy import converge_fuzzy, fuzzy_criterion
from skdeepcluster.kmeans.cosine._mini_batch import MiniBatch, random_batches
from skdeepcluster.kmeans.cosine._partition import Assign, Partition, lloyd_step
from skdeepcluster.kmeans.matrices import Centers, Matrix
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

_LOGGER = logging.getLogger("skdeepcluster")

# Starts whose criteria differ by rounding are equally good: the first is taken.
_SAME_CRITERION = 1e-9
# Of a pass over mini-batches, relative.
_LEAST_GAIN = 1e-3

ALGORITHMS: dict[str, Callable[[Matrix, Tensor], Assign]] = {
    "lloyd": lambda matrix, weight: lloyd_step(matrix),
    "hamerly": HamerlyStep,
    "elkan": ElkanStep,
}

# Where the bounds of "hamerly" were measured to save more than keeping them costs,
_MANY_ROWS, _MANY_ROWS_PER_CLUSTER, _MANY_PRODUCTS = 10_000, 1000, 10_000
# and those of "elkan", which keeps a number for each pair of row and cluster.
_MANY_CLUSTERS, _PRODUCTS_OF_ELKAN, _MOST_PAIRS = 300, 30_000, 250_000_000


def choose_algorithm(name: str, matrix: Matrix, n_clusters: int) -> str:
    """Name of the assignment step; "auto" is the one measured to be fastest."""
    if name != "auto":
        return name
    n, products = len(matrix), n_clusters * matrix.width
    elsewhere = matrix.device.type != "cpu" or matrix.precision == "bfloat16"
    if n < _MANY_ROWS or elsewhere:
        return "lloyd"
    many = n_clusters >= _MANY_CLUSTERS and products >= _PRODUCTS_OF_ELKAN
    if many and n * n_clusters <= _MOST_PAIRS:
        return "elkan"
    few_clusters = n >= _MANY_ROWS_PER_CLUSTER * n_clusters
    return "hamerly" if few_clusters or products >= _MANY_PRODUCTS else "lloyd"


def spherical_kmeans(
    matrix: Matrix,
    weight: Tensor,
    start: Callable[[], Centers],
    *,
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-8,
    algorithm: str = "auto",
    chain_length: int = 0,
    fuzziness: float = 1.0,
    tasks: Tasks = UNWATCHED,
) -> Partition:
    """Run spherical k-means from several starts; returns the best partition.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    weight : Tensor of shape (n,), float64
    start : callable
        Gives the centres of each start.
    n_init : int, default=1
    max_iter : int, default=300
        Most iterations of one start.
    tol : float, default=1e-8
        A start ends when the criterion falls by less, relatively.
    algorithm : {"auto", "lloyd", "hamerly", "elkan"}, default="auto"
        How rows find their nearest centre; all give the same labels.
    chain_length : int, default=0
        Moves in a row without a new best that end a chain of the local search; 0
        searches none.
    fuzziness : float, default=1.0
        Exponent of the memberships; above 1 a row belongs to all clusters.
    tasks : Tasks, optional

    Returns
    -------
    partition : Partition
    """

    def run(number: int) -> Partition:
        tasks.start_begins()
        found = Partition(matrix, weight, start())
        if fuzziness > 1:
            converge_fuzzy(found, fuzziness, max_iter, tol, tasks)
        else:
            name = choose_algorithm(algorithm, matrix, len(found.centers))
            assign = _assignment(name, matrix, weight)
            local_search(found, assign, chain_length, max_iter, tol, tasks)
        tasks.start_ends()
        _log_start(number, found)
        return found

    best = run(0)
    for number in range(1, n_init):
        if tasks.stopped:
            break
        found = run(number)
        if found.criterion < best.criterion * (1 - _SAME_CRITERION):
            best = found
    return best


def _assignment(name: str, matrix: Matrix, weight: Tensor) -> Assign:
    """Assignment step for all rows; bounds are kept where the rows are."""
    assign = ALGORITHMS[name](matrix.own, weight[matrix.own_rows])

    def assign_all(centers: Centers) -> tuple[Tensor, Tensor]:
        labels, products = assign(centers)
        return matrix.of_all(labels), matrix.of_all(products)

    return assign_all


def _log_start(number: int, found: Partition) -> None:
    _LOGGER.info(
        "start %d: criterion %.6g after %d iterations",
        number,
        found.criterion,
        found.n_iter,
    )


def mini_batch_kmeans(
    matrix: Matrix,
    weight: Tensor,
    state: MiniBatch,
    *,
    batch_size: int,
    max_iter: int,
    tol: float,
    generator: torch.Generator,
    run_rows: int = 1,
    tasks: Tasks = UNWATCHED,
) -> tuple[MiniBatch, int]:
    """Run spherical k-means in mini-batches.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    weight : Tensor of shape (n,), float64
    state : MiniBatch
        To start from; changed in place.
    batch_size : int
    max_iter : int
        Most passes over the rows.
    tol : float
        It ends when the criterion of a pass falls by less, relatively; by less than
        0.001 in any case, as the noise of the batches hides smaller gains. Rows without
        weight or direction are in no batch.
    generator : torch.Generator
        Shuffles the rows.
    run_rows : int, default=1
        Neighbouring rows that are read together.
    tasks : Tasks, optional

    Returns
    -------
    state : MiniBatch
    n_iter : int
        Passes over the rows.
    """
    usable = ((weight > 0) & (matrix.norms > 0)).nonzero().squeeze(1)
    before = torch.inf
    n_iter = 0
    tasks.start_begins()
    while n_iter < max_iter and not tasks.stopped:
        n_iter += 1
        tasks.iteration_begins()
        criterion = 0.0
        for batch in random_batches(len(usable), batch_size, generator, run_rows):
            index = usable[batch]
            criterion += float(state.update(matrix, index, weight[index]))
            if n_iter == 1:
                state.revive(matrix, index, weight[index])
        _LOGGER.info("pass %d: criterion %.6g", n_iter, criterion)
        tasks.iteration_ends(state)
        if before - criterion <= max(tol, _LEAST_GAIN) * criterion:
            break
        before = criterion
    tasks.start_ends()
    return state, n_iter


def summarise(
    matrix: Matrix,
    weight: Tensor,
    centers: Centers,
    labels: np.ndarray,
    fuzziness: float = 1.0,
    found: Partition | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Criterion of centres and labels, and what mini-batches can go on from.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    weight : Tensor of shape (n,), float64
    centers : DenseCenters or SparseCenters
    labels : ndarray of shape (n,)
    fuzziness : float, default=1.0
    found : Partition, optional
        Of which the sums are taken where it has these labels.

    Returns
    -------
    criterion : float
    resultants : ndarray of shape (k,)
        Lengths of the clusters' sums of unit rows.
    weights : ndarray of shape (k,)
        Weights of the clusters' rows.
    """
    partition = Partition(matrix, weight, centers)
    at = torch.from_numpy(labels.astype(np.int64))
    if found is not None and torch.equal(found.labels, at):
        sums = found.centers.sums
    else:
        sums = matrix.sums(at, partition.scale, len(centers))
    weights = torch.bincount(at, partition.weight, minlength=len(centers))
    resultants = torch.linalg.vector_norm(sums, dim=1)
    if fuzziness > 1:
        criterion = fuzzy_criterion(partition, fuzziness)
    else:
        criterion = partition.total - float((sums * centers.unit()).sum())
        if criterion <= CANCELLED * partition.total:
            distances = own_cosine_distances(matrix, at, centers)
            criterion = float(fixed_order_sum(distances * partition.weight))
    return max(criterion, 0.0), resultants.numpy(), weights.numpy()
