r"""Starting centres of cosine k-means, whatever the order of the rows.

Rows are drawn through the cumulated masses of all rows in the order of their products
with one random vector, which brings equal rows together. So the draws see a measure on
directions, not a list: to shuffle the rows, or to repeat a row instead of giving it an
integer weight, changes nothing but rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skdeepcluster.kmeans._seeding import draw_rows, first_smallest
from skdeepcluster.kmeans.cosine._assignment import cosine_blocks
from skdeepcluster.kmeans.matrices import Centers, Matrix

# Of so narrow a cone of rows float32 hardly tells the directions apart.
NARROW = 1e-3
# Cosine distances below are what rounding leaves of zero.
SAME_DIRECTION = {torch.float32: 2e-6, torch.float64: 1e-14}


class Seeding:
    """Draws starting centres for one data set, any number of times.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    weight : Tensor of shape (n,), float64
        Sample weights; zero for rows without a direction.
    generator : torch.Generator
        A generator of the CPU, the only source of randomness.
    """

    def __init__(
        self, matrix: Matrix, weight: Tensor, generator: torch.Generator
    ) -> None:
        self.matrix = matrix
        self.weight = torch.where(matrix.norms > 0, weight, 0.0)
        self.generator = generator
        self._order: Tensor | None = None

    def draw(self, method: str, n_clusters: int) -> Centers:
        """Centres by "k-means++", "random" or "farthest"."""
        return {
            "k-means++": self.plus_plus,
            "random": self.random_rows,
            "farthest": self.farthest,
        }[method](n_clusters)

    def plus_plus(self, n_clusters: int) -> Centers:
        r"""Greedy k-means++ for the cosine.

        The first row is drawn in proportion to the weights. Each further one is the
        best of :math:`2 + \lfloor \log k \rfloor` rows drawn with probability

        .. math::
            p_i \propto w_i \min_j (1 - \cos(x_i, c_j)),

        best being the one that leaves the smallest sum of these terms. On unit rows
        this is k-means++ of the Euclidean distance.

        References
        ----------
        Y. Endo and S. Miyamoto, "Spherical k-means++ clustering", MDAI 2015.
        """
        n_trials = 2 + int(math.log(n_clusters))
        chosen = self._draw(self.weight, 1)
        closest = self._distances(chosen)[:, 0]
        near = float(closest[self.weight > 0].mean()) < NARROW
        if near and self.matrix.dtype == torch.float32:
            self.matrix = self.matrix.as_double()
            closest = self._distances(chosen)[:, 0]
        for _ in range(1, n_clusters):
            mass = self.weight * closest
            if not bool(mass.any()):  # every direction is a centre already
                mass = self.weight
            candidates = self._draw(mass, n_trials)
            distances = self._distances(candidates).clamp_(max=closest[:, None])
            best = first_smallest(self.weight @ distances)
            closest = distances[:, best]
            chosen = torch.cat([chosen, candidates[best : best + 1]])
        return self._centers(chosen)

    def random_rows(self, n_clusters: int) -> Centers:
        """Rows drawn in proportion to the weights, all of different directions."""
        mass, exhausted = self.weight.clone(), False
        chosen = torch.empty(0, dtype=torch.int64)
        while len(chosen) < n_clusters:
            drawn = self._draw(mass, 1)
            if exhausted or not self._is_twin(drawn, chosen):
                chosen = torch.cat([chosen, drawn])
                continue
            # Only now: to find all its twins takes a pass over the rows.
            mass[self._distances(drawn)[:, 0] == 0] = 0
            if not bool(mass.any()):  # fewer directions than clusters
                mass, exhausted = self.weight, True
        return self._centers(chosen)

    def farthest(self, n_clusters: int) -> Centers:
        """The direction of the mean, then each time the row farthest from all centres.

        Without chance. Of several rows equally far the first is taken.
        """
        labels = torch.zeros(len(self.matrix), dtype=torch.int64)
        scale = torch.where(self.weight > 0, self.weight / self.matrix.norms, 0.0)
        mean = self.matrix.centers_type(self.matrix.sums(labels, scale, 1))
        rows: list[int] = []
        closest = self._distances_to(mean)[:, 0]
        for _ in range(1, n_clusters):
            farthest = int(torch.where(self.weight > 0, closest, -torch.inf).argmax())
            rows.append(farthest)
            closest = torch.minimum(
                closest, self._distances(torch.tensor([farthest]))[:, 0]
            )
        if not rows:
            return mean
        others = self._centers(torch.tensor(rows))
        return self.matrix.centers_type(torch.cat([mean.unit(), others.unit()]))

    def _centers(self, index: Tensor) -> Centers:
        directions = self.matrix.gather(index) / self.matrix.norms[index, None]
        return self.matrix.centers_type(directions)

    def _distances(self, index: Tensor) -> Tensor:
        return self._distances_to(self._centers(index))

    def _distances_to(self, centers: Centers) -> Tensor:
        """Cosine distances of all rows, (n, t), float64."""
        matrix = self.matrix
        own = torch.ones(len(matrix.own), len(centers), dtype=torch.float64)
        for rows, cosines in cosine_blocks(matrix.own, centers):
            own[rows] -= cosines
        distances = matrix.of_all(own)
        return distances.masked_fill_(distances < SAME_DIRECTION[matrix.dtype], 0)

    def _draw(self, mass: Tensor, size: int) -> Tensor:
        """Draw rows, with replacement, in proportion to their mass."""
        order = self._canonical_order()
        return order[draw_rows(mass[order], size, self.generator)]

    def _canonical_order(self) -> Tensor:
        if self._order is None:
            matrix = self.matrix
            direction = torch.randn(
                1, matrix.shape[1], dtype=torch.float64, generator=self.generator
            )
            axis = matrix.centers_type(direction)
            every = torch.arange(len(matrix))
            keys = matrix.exact_products(every, torch.zeros_like(every), axis)
            self._order = (keys / matrix.norms).argsort(stable=True)
        return self._order

    def _is_twin(self, drawn: Tensor, chosen: Tensor) -> bool:
        """Whether one of the rows `chosen` has the direction of the one drawn."""
        first = torch.zeros_like(chosen)
        products = self.matrix.exact_products(chosen, first, self._centers(drawn))
        distances = 1 - products / self.matrix.norms[chosen]
        return bool((distances < SAME_DIRECTION[self.matrix.dtype]).any())
