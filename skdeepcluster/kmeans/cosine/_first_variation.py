r"""First variation with Kernighan-Lin chains: what spherical k-means cannot see.

A fixed point of Lloyd's iteration may still gain when a single row moves, since the two
centres follow the row. The criterion then falls by exactly

.. math::
    \Delta_{ij} = \lVert s_{l_i} - y_i \rVert - \lVert s_{l_i} \rVert
                + \lVert s_j + y_i \rVert - \lVert s_j \rVert, \qquad
    y_i = w_i \frac{x_i}{\lVert x_i \rVert}

A chain makes the best such move again and again, each row once, also where it costs
something, and keeps its best prefix: it crosses ridges that no single move crosses. No
move with a positive Delta left implies a fixed point of Lloyd's iteration, not the
other way round (Dhillon, Guan and Kogan 2002, "Iterative clustering of high dimensional
text data augmented by local search").
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans.cosine._chain import Chain, added_norm, members
from skdeepcluster.kmeans.cosine._partition import Assign, Partition, converge
from skdeepcluster.kmeans.matrices import UnitRows, raw_sums, unit_rows
from skdeepcluster.utils._reduce import identity
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

# Of more rows, a chain looks only at those whose own best move is the best: rows far
# from a border never come up, and measured results do not differ (20,000 rows).
MOST_ROWS = 4096
# Rows that a sweep visits: those that gain by a move now, and as many times more, which
# may gain once those have moved.
_VISITED_PER_GAINING = 4
_LEAST_VISITED = 512
# Visits go on while the last round gave this part of the gain before it.
_WORTH_A_ROUND = 0.1
# Gains below this part of the total weight may be rounding.
_ROUNDING = 1e-12


def local_search(
    partition: Partition,
    assign: Assign,
    chain_length: int,
    max_iter: int,
    tol: float,
    tasks: Tasks = UNWATCHED,
) -> Partition:
    """Alternate Lloyd's iteration and chains until neither lowers the criterion.

    Parameters
    ----------
    partition : Partition
        Changed in place; never worse than what `converge` alone makes of it.
    assign : callable
    chain_length : int
        As in `improve`; 0 for none.
    max_iter : int
        Most steps of Lloyd's iteration, those that `partition` has had counted;
        sweeps and chains are not.
    tol : float
        Of Lloyd's iteration and of the chains, relative to the criterion.
    tasks : Tasks, optional
        Of an open start.

    Returns
    -------
    partition : Partition
    """
    converge(partition, assign, max_iter, tol, tasks)
    # A chain is followed by a step at least: labels belong to the centres.
    while partition.n_iter < max_iter and not tasks.stopped:
        if not improve(partition, chain_length, tol):
            break
        converge(partition, assign, max_iter, tol, tasks)
    return partition


def improve(partition: Partition, chain_length: int, tol: float) -> bool:
    """Move single rows where that lowers the criterion.

    First, sweeps over the rows that gain by a move of their own; where they find
    nothing, one chain. It ends once `chain_length` moves in a row have not led below
    its lowest criterion so far, and the moves after that are undone. Rows without
    weight or direction do not move, and no cluster loses its last row.

    Parameters
    ----------
    partition : Partition
        With labels, of one process. Changed in place, where that is an improvement.
    chain_length : int
        0 for no move at all.
    tol : float
        The criterion falls by more than `tol` times its value, or nothing changes.

    Returns
    -------
    improved : bool
    """
    if partition.reduce is not identity:
        raise NotImplementedError("Local search needs all rows in one process.")
    if chain_length < 1 or len(partition.centers) < 2:
        return False
    least = max(tol * partition.criterion, _ROUNDING * partition.total)
    swept = False
    while True:
        delta = _best_deltas(partition)
        found = _Sweep(partition).run(_near_gain(delta))
        if not _take(partition, found, least):
            break
        swept = True
    return swept or _take(partition, _chain(partition, delta, chain_length), least)


class _Sweep:
    """Visits to rows one by one, each of which moves at once where that is a gain.

    Exact, since all sums follow every move, and fast, since products with the sums are
    taken of the visited row alone.
    """

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.labels = partition.labels.numpy().copy()  # (n,)
        self.sums = raw_sums(partition.centers).copy()
        self.norms = partition.centers.norms.numpy().copy()  # (k,)
        self.counts = members(partition)  # (k,)

    def run(self, rows: Tensor) -> tuple[float, Tensor]:
        """Visit rows, (m,); returns the gain and the labels of all rows, (n,)."""
        total = sum(self._settle(part) for part in rows.split(MOST_ROWS))
        return total, torch.from_numpy(self.labels)

    def _settle(self, rows: Tensor) -> float:
        """Visit rows that fit into memory, in rounds, while that gains."""
        unit = unit_rows(self.partition.matrix, rows)
        visits = list(enumerate(rows.tolist()))
        weights = self.partition.weight[rows].tolist()
        total, gain = 0.0, torch.inf
        while gain > _WORTH_A_ROUND * total:
            gain = sum(self._visit(unit, b, row, weights[b]) for b, row in visits)
            total += gain
        return total

    def _visit(self, unit: UnitRows, b: int, row: int, weight: float) -> float:
        i = self.labels[row]
        products = unit.sum_products(self.sums, b)  # (k,)
        added = added_norm(self.norms, products, weight)
        added[i] = -np.inf
        j = added.argmax()
        removed = added_norm(self.norms[i], -products[i], weight)
        gain = float(added[j] + removed)
        if not gain > 0 or self.counts[i] == 1:
            return 0.0
        unit.move(self.sums, b, weight, i, j)
        self.norms[i] += removed
        self.norms[j] += added[j]
        self.counts[i] -= 1
        self.counts[j] += 1
        self.labels[row] = j
        return gain


def _chain(
    partition: Partition, delta: Tensor, chain_length: int
) -> tuple[float, Tensor]:
    """Gain and labels of a chain, (n,), of the rows with the greatest Delta."""
    rows = (partition.weight > 0).nonzero().squeeze(1)
    if len(rows) > MOST_ROWS:
        rows = delta.topk(MOST_ROWS).indices.sort().values
        rows = rows[partition.weight[rows] > 0]
    gain, own = Chain(partition, rows).run(chain_length)
    return gain, partition.labels.index_copy(0, rows, own)


def _near_gain(delta: Tensor) -> Tensor:
    """Rows that gain by a move, and those that soon may; sorted."""
    n_gaining = int((delta > 0).sum())
    wanted = max(_VISITED_PER_GAINING * n_gaining, _LEAST_VISITED)
    n_rows = min(len(delta), wanted) if n_gaining else 0
    rows = delta.topk(n_rows).indices.sort().values
    return rows[delta[rows] > -torch.inf]


def _take(partition: Partition, found: tuple[float, Tensor], least: float) -> bool:
    """Move a partition to labels whose gain is large enough."""
    gain, labels = found
    if not gain > least:
        return False
    before, criterion = partition.labels, partition.criterion
    # No cluster is left empty: how far rows are from their centres plays no part.
    partition.relabel(labels, partition.matrix.norms)
    if partition.criterion < criterion:
        return True
    # Rounding has misled.
    partition.relabel(before, partition.matrix.norms)
    return False


def _best_deltas(partition: Partition) -> Tensor:
    """Delta of the best move of each row, (n,), rounded; -inf for those that stay."""
    alone = torch.from_numpy(members(partition) == 1)[partition.labels]
    stays = alone | (partition.weight == 0)
    deltas = torch.empty(len(stays), dtype=torch.float64)
    for rows, block in partition.matrix.blocks():
        deltas[rows] = _block_deltas(partition, rows, block)
    return deltas.masked_fill_(stays, -torch.inf)


def _block_deltas(partition: Partition, rows: slice, block: Tensor) -> Tensor:
    """Delta of the best move of each row of a block, (b,), from rounded products."""
    matrix, centers = partition.matrix, partition.centers
    products = matrix.products(block, centers).cpu().to(torch.float64)
    products *= centers.norms / matrix.norms[rows, None]
    weight, own = partition.weight[rows, None], partition.labels[rows, None]
    added = added_norm(centers.norms, products, weight).scatter_(1, own, -torch.inf)
    removed = added_norm(centers.norms[own], -products.gather(1, own), weight)
    delta = added.amax(1) + removed[:, 0]
    return delta.masked_fill(delta.isnan(), -torch.inf)
