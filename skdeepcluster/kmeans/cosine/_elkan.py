r"""Spherical k-means without comparing every row with every centre: Elkan's bounds.

Beside the bounds of `HamerlyStep`, every row has an upper bound on its cosine to each
centre, to which a turn adds the length of the chord, whatever the signs:

.. math::
    \cos(x_i, c_j') \le \cos(x_i, c_j) + \lVert c_j' - c_j \rVert

That is the bound on the angles but for a factor :math:`\sin\theta`, near 1 where a row
is far from the other centres. It takes one addition per pair, and no trigonometry,
which would cost more than the product that it might save.

References
----------
.. [1] C. Elkan (2003), "Using the triangle inequality to accelerate k-means", ICML.
.. [2] E. Schubert, A. Lang, G. Feher (2021), "Accelerating spherical k-means", SISAP.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skdeepcluster.kmeans.cosine._assignment import label_scores
from skdeepcluster.kmeans.cosine._bounds import HamerlyStep
from skdeepcluster.kmeans.matrices import Centers, Matrix, SparseMatrix

# Roundings of float32, in which the bounds of the pairs are kept.
_NARROW = 1e-6
# Rows that are compared with the same centres: of fewer, fewer centres are near, but
# small products are slow (measured: 512 rows cost a quarter more).
_FEWEST_ROWS = 2048
# Of more centres than this a product with all costs less.
_MOST_CENTERS = 0.7
# The bounds are taken anew once a centre has turned by this much in all.
_LONGEST_WAY = 1.0


class _Some:
    """Some of the centres, (m,), for `Matrix.products`."""

    def __init__(self, centers: Any, which: Tensor) -> None:
        self.centers, self.which = centers, which

    def unit_as(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return self.centers.unit_as(dtype, device)[self.which.to(device)]

    def operand(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return self.centers.operand(dtype, device)[:, self.which.to(device)]

    def inverse_norms(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return self.centers.inverse_norms(dtype, device)[self.which.to(device)]


class ElkanStep(HamerlyStep):
    """Assignment that skips pairs of rows and centres that cannot come together.

    As `HamerlyStep`; takes 4 bytes for each pair.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    weight : Tensor of shape (n,), optional
        Rows of weight 0 do not keep a cluster from being empty.

    Attributes
    ----------
    n_products : int
        Products of a row with a centre that were taken so far.
    """

    most_active = 1.0
    largest_turn = 0.02

    def __init__(self, matrix: Matrix, weight: Tensor | None = None) -> None:
        super().__init__(matrix, weight)
        self._pairs = torch.empty(0)  # (n, k), cosines at most, less the way till then
        self._way = torch.empty(0)  # (k,), the chords that the centres have gone
        self._step = _FEWEST_ROWS
        if isinstance(matrix, SparseMatrix):
            # Picking columns of the centres must cost less than products with them do.
            rows = 4 * matrix.shape[1] * len(matrix) / max(1, matrix.x.nnz)
            self._step = max(_FEWEST_ROWS, int(rows))

    def _is_calm(self, turns: Tensor) -> bool:
        return super()._is_calm(turns.mean())

    def _loosen(self, turns: Tensor) -> None:
        super()._loosen(turns)
        self._way += 2 * (turns / 2).clamp(max=torch.pi / 2).sin()

    def _active(self) -> Tensor:
        if float(self._way.max()) > _LONGEST_WAY:
            return torch.arange(len(self.matrix))
        return super()._active()

    def _bound_all(self, centers: Centers) -> None:
        self._way = torch.zeros(len(centers), dtype=torch.float64)
        self._pairs = torch.empty(len(self.matrix), len(centers))
        super()._bound_all(centers)

    def _bound_block(self, index: Tensor, block: Tensor, centers: Centers) -> Tensor:
        scores = super()._bound_block(index, block, centers)
        uppers = self._uppers(index, block, scores).sub_(self._way.float())
        self._pairs.index_copy_(0, index, uppers)
        return scores

    def _uppers(self, index: Tensor, block: Tensor, scores: Tensor) -> Tensor:
        """Cosines at most, (b, m), from products; those of zero rows are open."""
        norms = self.matrix.norms[index]
        inverse = (1 / norms).to(torch.float32).unsqueeze(1)
        uppers = scores.cpu().to(torch.float32) * inverse
        uppers += self.matrix.error(block) + _NARROW
        uppers[norms == 0] = 2 + _LONGEST_WAY
        return uppers

    def _bound(self, active: Tensor, centers: Centers) -> None:
        # Rows of a cluster have the same other centres near them.
        active = active[self._labels[active].argsort(stable=True)]
        for index in active.split(self._step):
            uppers = self._pairs.index_select(0, index).add_(self._way.float())
            doubtful = self._keep_others(index, uppers).nonzero().squeeze(1)
            if len(doubtful):
                self._bound_near(index[doubtful], uppers[doubtful], centers)

    def _keep_others(self, index: Tensor, uppers: Tensor) -> Tensor:
        """Bound the cosines to the other centres; returns which rows are in doubt."""
        uppers.scatter_(1, self._labels[index].unsqueeze(1), -torch.inf)
        largest = uppers.amax(1).to(torch.float64) + _NARROW
        self._others[index] = largest.clamp(-1, 1).acos_()
        return largest >= self._own_cosines(index)

    def _bound_near(self, index: Tensor, uppers: Tensor, centers: Centers) -> None:
        """Compare rows with the centres that one of them may be nearest to."""
        floor = (self._own_cosines(index) - _NARROW).to(torch.float32)
        near = (uppers - floor.unsqueeze(1)).amax(0) >= 0
        near[self._labels[index]] = True
        which = near.nonzero().squeeze(1)
        block = self.matrix.take(index)
        if len(which) > _MOST_CENTERS * len(centers):
            self._bound_block(index, block, centers)
        else:
            self._bound_some(index, block, uppers, centers, which)

    def _bound_some(
        self,
        index: Tensor,
        block: Tensor,
        uppers: Tensor,
        centers: Centers,
        which: Tensor,
    ) -> None:
        some: Any = _Some(centers, which)
        scores = self.matrix.products(block, some).cpu()  # (b, m)
        self.n_products += scores.numel()
        error = self.matrix.error(block)
        at, _ = label_scores(self.matrix, index, scores.clone(), error, centers, which)
        own = scores.gather(1, at.unsqueeze(1))[:, 0].to(torch.float64)
        own /= self.matrix.norms[index]
        self._keep(index, which[at], own - error, torch.ones_like(own))
        uppers.index_copy_(1, which, self._uppers(index, block, scores))
        self._pairs.index_copy_(0, index, uppers - self._way.float())
        self._keep_others(index, uppers)
