"""Spherical k-means in mini-batches: sums per cluster that grow batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from skdeepcluster.kmeans.cosine._assignment import label_block
from skdeepcluster.kmeans.matrices import Centers, Matrix


class MiniBatch:
    r"""Centres of the rows seen so far.

    A centre has the direction of the weighted sum of all unit rows that were nearest to
    it when they came, so its step is the inverse of the weight it has seen:

    .. math::
        m_j \leftarrow m_j + \frac{w_i}{n_j} \Big(\frac{x_i}{\lVert x_i \rVert} -
        m_j\Big), \qquad n_j \leftarrow n_j + w_i, \qquad
        c_j = \frac{m_j}{\lVert m_j \rVert}

    Parameters
    ----------
    directions : Tensor of shape (k, d), float64
        Unit centres to start from; each moves wholly with its first rows.
    resultants, weights : Tensor of shape (k,), float64, optional
        To go on from: lengths of the sums, and weights of the rows seen.

    References
    ----------
    D. Sculley, "Web-scale k-means clustering", WWW 2010.
    """

    def __init__(
        self,
        directions: Tensor,
        resultants: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> None:
        none = torch.zeros(len(directions), dtype=torch.float64)
        self.directions = directions.clone()
        self.sums = directions * (none if resultants is None else resultants)[:, None]
        self.weights = none if weights is None else weights.clone()

    def resultants(self) -> Tensor:
        """Lengths of the sums, (k,)."""
        return torch.linalg.vector_norm(self.sums, dim=1)

    def centers(self, matrix: Matrix) -> Centers:
        """Centres for products with `matrix`."""
        return matrix.centers_type(self.directions)

    def update(self, matrix: Matrix, index: Tensor, weight: Tensor) -> Tensor:
        """Take the rows `index` of a matrix in; returns their criterion.

        Parameters
        ----------
        matrix : DenseMatrix or SparseMatrix
        index : Tensor of shape (b,)
        weight : Tensor of shape (b,), float64

        Returns
        -------
        criterion : Tensor
            Weighted sum of ``1 - cos`` to the centres before this batch.
        """
        norms = matrix.norms[index]
        weight = torch.where(norms > 0, weight, 0.0)
        scale = torch.where(weight > 0, weight / norms, 0.0)
        block = matrix.take(index)
        labels, products = label_block(matrix, index, block, self.centers(matrix))
        k = len(self.directions)
        self.sums += matrix.sums_of(index, labels, scale, k)
        self.weights += torch.bincount(labels, weight, minlength=k)
        self._direct()
        return weight.sum() - scale @ products.to(torch.float64)

    def revive(self, matrix: Matrix, index: Tensor, weight: Tensor) -> None:
        """Point centres that no row has come to at the farthest of the rows `index`."""
        unused = (self.weights == 0).nonzero().squeeze(1)
        usable = index[(weight > 0) & (matrix.norms[index] > 0)]
        if not len(unused) or not len(usable):
            return
        block = matrix.take(usable)
        _, products = label_block(matrix, usable, block, self.centers(matrix))
        cosines = products.to(torch.float64) / matrix.norms[usable]
        farthest = usable[cosines.argsort(stable=True)[: len(unused)]]
        rows = matrix.gather(farthest) / matrix.norms[farthest, None]
        self.directions[unused[: len(rows)]] = rows

    def _direct(self) -> None:
        norms = torch.linalg.vector_norm(self.sums, dim=1)
        # A centre whose rows cancel keeps the direction it had.
        moves = norms > 1e-12 * self.weights
        self.directions[moves] = self.sums[moves] / norms[moves, None]


def random_batches(
    n_rows: int, batch_size: int, generator: torch.Generator, run_rows: int
) -> Iterator[Tensor]:
    """Batches of one pass over the rows: random runs of neighbouring rows, mixed.

    Parameters
    ----------
    n_rows : int
    batch_size : int
    generator : torch.Generator
    run_rows : int, default=64
        Rows of a run; 1 shuffles every row by itself.

    Yields
    ------
    index : Tensor of shape (batch_size,)
        The last one may be shorter.
    """
    starts = torch.arange(0, n_rows, run_rows)
    starts = starts[torch.randperm(len(starts), generator=generator)]
    order = (starts[:, None] + torch.arange(run_rows)).flatten()
    yield from order[order < n_rows].split(batch_size)
