"""Chains of single moves between clusters, after Kernighan and Lin."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans.cosine._partition import Partition
from skdeepcluster.kmeans.matrices import raw_sums, unit_rows


def added_norm(norm: Any, products: Any, weight: Any) -> Any:
    """``|s + w u| - |s|`` where ``|s| = norm`` and ``s . u`` are the products.

    Of float64 numbers, arrays or tensors; without the difference of two norms, which
    for a large cluster would cancel.
    """
    squares = weight * (2 * products + weight)
    return squares / ((norm * norm + squares).clip(0) ** 0.5 + norm)


def members(partition: Partition) -> np.ndarray:
    """Rows that count, by cluster, (k,)."""
    labels = partition.labels[partition.weight > 0]
    return torch.bincount(labels, minlength=len(partition.centers)).numpy()


class Chain:
    """Products of some rows with all sums, and what follows from them.

    Everything float64 and on the host. A move changes two sums by one row, hence two
    rows of the products by the same vector: one product of the data with that row.

    Parameters
    ----------
    partition : Partition
    rows : Tensor of shape (m,), int64
        The rows that may move.
    """

    def __init__(self, partition: Partition, rows: Tensor) -> None:
        self.rows = unit_rows(partition.matrix, rows)
        self.weight = partition.weight[rows].numpy()  # (m,)
        self.own = partition.labels[rows].numpy().copy()  # (m,)
        k = len(partition.centers)
        self.counts = members(partition)  # (k,)
        self.norms = partition.centers.norms.numpy().copy()  # (k,)
        sums = raw_sums(partition.centers)
        self.products = self.rows.all_products(sums)  # (k, m)
        self.marked = np.zeros(len(rows), dtype=bool)
        self.gains = np.empty_like(self.products)
        self.removal = np.empty(len(rows))  # (m,)
        self._renew(np.arange(k))
        self.best = self.gains.max(0)  # (m,)
        self.target = self.gains.argmax(0)  # (m,)

    def run(self, chain_length: int) -> tuple[float, Tensor]:
        """Run the chain; returns the gain of the best prefix and its labels, (m,)."""
        total = best = 0.0
        moves: list[tuple[int, int]] = []
        n_best = 0
        while len(moves) < n_best + chain_length:
            delta = self.best + self.removal
            b = int(delta.argmax())
            if delta[b] == -np.inf:
                break
            total += float(delta[b])
            moves.append((b, int(self.own[b])))
            self.move(b)
            if total > best:
                best, n_best = total, len(moves)
        for b, origin in reversed(moves[n_best:]):
            self.own[b] = origin
        return best, torch.from_numpy(self.own)

    def move(self, b: int) -> None:
        """Move a row to its best cluster, and never again."""
        i, j, w = int(self.own[b]), int(self.target[b]), self.weight[b]
        change = w * self.rows.row_products(b)
        self.norms[i] += added_norm(self.norms[i], -self.products[i, b], w)
        self.norms[j] += added_norm(self.norms[j], self.products[j, b], w)
        self.products[i] -= change
        self.products[j] += change
        self.counts[i] -= 1
        self.counts[j] += 1
        self.own[b] = j
        self.marked[b] = True
        self._renew(np.array([i, j]))
        self._renew_best(i, j)

    def _renew(self, clusters: np.ndarray) -> None:
        """Take anew what some clusters add to their norm, and what removal takes."""
        gains = added_norm(
            self.norms[clusters, None], self.products[clusters], self.weight
        )
        member = self.own == clusters[:, None]  # (c, m)
        gains[member] = -np.inf
        self.gains[clusters] = gains
        rows = member.any(0).nonzero()[0]
        own = self.own[rows]
        removal = added_norm(
            self.norms[own], -self.products[own, rows], self.weight[rows]
        )
        removal[self.marked[rows] | (self.counts[own] == 1)] = -np.inf
        self.removal[rows] = removal

    def _renew_best(self, i: int, j: int) -> None:
        """Find the best cluster where one of two may have become or ceased to be it."""
        rows = (self.target == i) | (self.target == j)
        rows |= (self.gains[i] > self.best) | (self.gains[j] > self.best)
        rows = rows.nonzero()[0]
        gains = self.gains[:, rows]
        self.best[rows] = gains.max(0)
        self.target[rows] = gains.argmax(0)
