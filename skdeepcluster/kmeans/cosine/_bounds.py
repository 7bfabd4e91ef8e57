r"""Spherical k-means without comparing every row with every centre: Hamerly's bound.

The angle is a metric, so a centre that turns by an angle :math:`\phi_j` changes the
angle of any row to it by no more:

.. math::
    \lvert \theta(x_i, c_j') - \theta(x_i, c_j) \rvert \le \phi_j
    = \theta(c_j, c_j')

In cosines that is the inequality of [2]_, :math:`\cos(\theta \pm \phi) =
\cos\theta \cos\phi \mp \sin\theta \sin\phi`; kept as angles, the bounds hold for every
sign and take one addition. A row has an upper bound on the angle to its own centre and
a lower one on those to all others; while these are apart, its label cannot change.

Labels are those of `nearest_by_cosine`, at every call: the bounds allow for the
rounding of the products that they come from, and rows in doubt are decided as there.

References
----------
.. [1] G. Hamerly (2010), "Making k-means even faster", SDM.
.. [2] E. Schubert, A. Lang, G. Feher (2021), "Accelerating spherical k-means", SISAP.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skdeepcluster.kmeans.cosine._assignment import label_scores, nearest_by_cosine
from skdeepcluster.kmeans.matrices import Centers, DenseCenters, Matrix, SparseCenters

# For the roundings of float64: of the bounds, of the products that decide what float32
# leaves open, and of sums and norms that were kept up to date.
_SLACK = 1e-9


class Turns:
    """How far each centre has turned from one call to the next."""

    def __init__(self) -> None:
        self._centers: Centers | None = None
        self._turned = torch.zeros(0)

    def __call__(self, centers: Centers) -> Tensor | None:
        """Angles, (k,), float64, at most; None where finding out costs too much."""
        before, self._centers = self._centers, centers
        if isinstance(centers, SparseCenters):
            turned, self._turned = self._turned, centers.turned
            # Summed anew in place, they may have turned by anything, and say so.
            return self._turned - turned if before is centers else None
        if not isinstance(before, DenseCenters):
            return None
        chords = torch.linalg.vector_norm(centers.unit() - before.unit(), dim=1)
        return 2 * (chords / 2).clamp(max=1).asin()


class HamerlyStep:
    """Assignment that skips rows whose label cannot change.

    A callable as `lloyd_step` gives; for one run of `converge`. The products it returns
    are lower bounds, unless a cluster has no rows: only then do they matter.

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

    # From this share of the rows on all are compared: gathering them would cost more.
    most_active = 0.6
    # Bounds say nothing while centres turn by more than this.
    largest_turn = 0.1

    def __init__(self, matrix: Matrix, weight: Tensor | None = None) -> None:
        self.matrix = matrix
        self.n_products = 0
        self._counted = matrix.norms > 0
        if weight is not None:
            self._counted &= weight > 0
        n = len(matrix)
        self._labels = torch.full((n,), -1, dtype=torch.int64)
        self._own = torch.empty(n, dtype=torch.float64)  # angles, at most
        self._others = torch.empty(n, dtype=torch.float64)  # angles, at least
        self._turns = Turns()
        self._bounded = False

    def __call__(self, centers: Centers) -> tuple[Tensor, Tensor]:
        """Labels of all rows and their products with their centres."""
        turns = self._turns(centers)
        self._bounded = turns is not None and self._update_bounds(turns, centers)
        if self._bounded:
            return self._labels.clone(), self._products(centers)
        self._labels, products = nearest_by_cosine(self.matrix, centers)
        self.n_products += len(self.matrix) * len(centers)
        return self._labels.clone(), products

    def _update_bounds(self, turns: Tensor, centers: Centers) -> bool:
        """Label all rows by bounds and bound them again, if bounds are worth it."""
        if self._bounded:
            self._loosen(turns)
            active = self._active()
            if len(active) < self.most_active * len(self.matrix):
                self._bound(active, centers)
                return True
        if self._is_calm(turns):
            self._bound_all(centers)
            return True
        return False

    def _is_calm(self, turns: Tensor) -> bool:
        """Whether bounds taken now would last."""
        exact = self.matrix.precision != "bfloat16"
        return exact and float(turns.max()) <= self.largest_turn

    def _loosen(self, turns: Tensor) -> None:
        """Let the bounds hold for centres that have turned."""
        self._own += turns[self._labels]
        if len(turns) > 1:
            most, second = turns.topk(2).values
            others = torch.full_like(turns, float(most))
            others[turns.argmax()] = second
            self._others -= others[self._labels]

    def _active(self) -> Tensor:
        """Rows whose label might change."""
        others = self._others.clamp(0, torch.pi).cos_()
        return (self._own_cosines() - others <= _SLACK).nonzero().squeeze(1)

    def _bound_all(self, centers: Centers) -> None:
        for rows, block in self.matrix.blocks():
            index = torch.arange(rows.start, rows.stop)
            self._bound_block(index, block, centers)

    def _bound(self, active: Tensor, centers: Centers) -> None:
        for index in active.split(self.matrix.block_rows):
            self._bound_block(index, self.matrix.take(index), centers)

    def _bound_block(self, index: Tensor, block: Tensor, centers: Centers) -> Tensor:
        """Label rows and bound their angles; returns their products, (b, k)."""
        scores = self.matrix.products(block, centers)  # (b, k)
        self.n_products += scores.numel()
        error = self.matrix.error(block)
        labels, _ = label_scores(self.matrix, index, scores.clone(), error, centers)
        at = labels.to(scores.device).unsqueeze(1)
        own = scores.gather(1, at)
        others = scores.scatter_(1, at, -torch.inf).amax(1, keepdim=True)
        scores.scatter_(1, at, own)
        pair = torch.cat([own, others], 1).cpu().to(torch.float64)
        own, others = (pair / self.matrix.norms[index, None]).unbind(1)
        self._keep(index, labels, own - error, others + error)
        return scores

    def _keep(self, index: Tensor, labels: Tensor, own: Tensor, others: Tensor) -> None:
        """Keep the labels of rows and bounds on their cosines: at least, at most."""
        self._labels[index] = labels
        norms = self.matrix.norms[index]
        own = (own - _SLACK).clamp(-1, 1).acos()
        others = (others + _SLACK).clamp(-1, 1).acos()
        # A zero row keeps its label.
        self._own[index] = torch.where(norms > 0, own, -torch.inf)
        self._others[index] = torch.where(norms > 0, others, torch.inf)

    def _own_cosines(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Cosines of rows with their own centres, at least."""
        return self._own[index].clamp(0, torch.pi).cos_()

    def _products(self, centers: Centers) -> Tensor:
        """Products with the own centres: at least, or as such if a cluster is empty."""
        counts = torch.bincount(self._labels[self._counted], minlength=len(centers))
        if bool((counts == 0).any()):
            self.n_products += len(self.matrix) * len(centers)
            return nearest_by_cosine(self.matrix, centers)[1]
        return self._own_cosines().mul_(self.matrix.norms).to(self.matrix.dtype)
