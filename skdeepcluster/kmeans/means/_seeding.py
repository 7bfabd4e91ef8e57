r"""Starting points of k-means in any space, whatever their order in the data.

Points are drawn through the cumulated masses of all points in an order by what they
are, which brings equal points together. So the draws see a measure, not a list: to
shuffle the points, or to repeat one instead of giving it an integer weight, changes
nothing but rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skdeepcluster.kmeans._seeding import draw_rows, first_smallest
from skdeepcluster.kmeans.means._partition import Points

METHODS = ("k-means++", "random")


class PointSeeding:
    """Draws starting points for one data set, any number of times.

    Parameters
    ----------
    points : Points
        n of them.
    generator : torch.Generator
        A generator of the CPU, the only source of randomness.
    """

    def __init__(self, points: Points, generator: torch.Generator) -> None:
        self.points = points
        self.generator = generator
        self._order = points.seeding_order(generator)

    def draw(self, method: str, n_clusters: int) -> Tensor:
        """Index of the starting points, (k,), by "k-means++" or "random"."""
        drawn = self._plus_plus if method == "k-means++" else self._random
        return drawn(n_clusters)

    def _plus_plus(self, n_clusters: int) -> Tensor:
        """Greedy k-means++, as in `kmeans_plus_plus`."""
        points, n_trials = self.points, 2 + int(math.log(n_clusters))
        chosen = self._draw(points.weight, 1)
        closest = points.distances_to(int(chosen))
        for _ in range(1, n_clusters):
            mass = points.weight * closest
            if not bool(mass.any()):  # every distinct point is chosen already
                mass = points.weight
            candidates = self._draw(mass, n_trials)
            best = first_smallest(points.potentials(candidates, closest))
            chosen = torch.cat([chosen, candidates[best : best + 1]])
            distances = points.distances_to(int(chosen[-1]))
            closest = torch.minimum(closest, distances)
        return chosen

    def _random(self, n_clusters: int) -> Tensor:
        """Points drawn in proportion to the weights, all of them different."""
        mass = self.points.weight.clone()
        chosen = []
        for _ in range(n_clusters):
            if not bool(mass.any()):  # fewer points differ than there are clusters
                mass = self.points.weight.clone()
            chosen.append(self._draw(mass, 1))
            mass[self.points.distances_to(int(chosen[-1])) == 0] = 0
        return torch.cat(chosen)

    def _draw(self, mass: Tensor, size: int) -> Tensor:
        """Draw points, with replacement, in proportion to their mass."""
        return self._order[draw_rows(mass[self._order], size, self.generator)]
