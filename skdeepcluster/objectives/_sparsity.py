r"""Group sparsity: every row uses few groups of the embedding's units.

.. math:: L_i = \sum_{g=1}^{G} \sqrt{n_g} \, \lVert z_i^{(g)} \rVert

with :math:`n_g` the number of units of group g.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skdeepcluster.objectives._base import Batch, Objective


class GroupSparsity(Objective):
    """Sum of the norms of neighbouring groups of units.

    Parameters
    ----------
    n_groups : int
        Groups, of sizes that differ by one at most; one for every cluster in the
        paper.

    References
    ----------
    P. Huang, Y. Huang, W. Wang and L. Wang, "Deep Embedding Network for Clustering",
    ICPR 2014.
    """

    def __init__(self, n_groups: int) -> None:
        super().__init__()
        if n_groups < 1:
            raise ValueError(
                "The 'n_groups' parameter of GroupSparsity must be at least 1. "
                f"Got {n_groups!r} instead."
            )
        self.n_groups = n_groups

    def loss(self, batch: Batch) -> Tensor:
        """Weighted norms of the groups of each row, (b,)."""
        if batch.z.shape[1] < self.n_groups:
            raise ValueError(
                f"GroupSparsity(n_groups={self.n_groups}) needs an embedding of at "
                f"least {self.n_groups} columns. Got {batch.z.shape[1]}."
            )
        groups = batch.z.tensor_split(self.n_groups, dim=1)
        norms = [
            len(group.T) ** 0.5 * torch.linalg.vector_norm(group, dim=1)
            for group in groups
        ]
        return torch.stack(norms).sum(dim=0)
