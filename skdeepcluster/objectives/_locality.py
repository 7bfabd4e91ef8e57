r"""Locality preserving: neighbours in the input stay neighbours in the embedding.

.. math::
    L_i = \sum_{j \in N(i)} s_{ij} \lVert z_i - z_j \rVert^2, \qquad
    s_{ij} = \frac{1}{|N(i)|} \exp\!\left(-\frac{\lVert x_i - x_j \rVert^2}
    {\sigma^2}\right)

with N(i) the nearest neighbours of a row among all data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from skdeepcluster.objectives._base import Batch, Objective, TensorSpec
from skdeepcluster.utils._reduce import Reduce, identity

# Entries of neighbours' embeddings gathered at a time.
_BLOCK_ELEMENTS = 1 << 22


class LocalityPreserving(Objective):
    r"""Squared distances to the embeddings of the nearest neighbours in the input.

    The neighbours' embeddings are those of the last `refresh`. For one row they enter
    through their weighted mean alone, since

    .. math:: \sum_j s_{ij} \lVert z_i - z_j \rVert^2
        = S_i \lVert z_i - m_i \rVert^2 + c_i .

    Parameters
    ----------
    n_neighbors : int, default=10
        Neighbours of a row; all other rows where there are fewer.

    References
    ----------
    P. Huang, Y. Huang, W. Wang and L. Wang, "Deep Embedding Network for Clustering",
    ICPR 2014.
    """

    neighbors: Tensor
    similarity: Tensor

    def __init__(self, n_neighbors: int = 10) -> None:
        super().__init__()
        if n_neighbors < 1:
            raise ValueError(
                "The 'n_neighbors' parameter of LocalityPreserving must be at least 1. "
                f"Got {n_neighbors!r} instead."
            )
        self.n_neighbors = n_neighbors
        self.register_buffer("neighbors", torch.empty(0, dtype=torch.int64))
        self.register_buffer("similarity", torch.empty(0))

    def prepare(self, x: Any) -> None:
        """Find the neighbours of every row of the scaled input."""
        rows = x.detach().cpu().numpy() if isinstance(x, Tensor) else x.uncentred()
        n_rows = rows.shape[0]
        if n_rows < 2:
            raise ValueError(
                f"LocalityPreserving needs at least 2 rows. Got n_samples={n_rows}."
            )
        n_neighbors = min(self.n_neighbors, n_rows - 1)
        search = NearestNeighbors(n_neighbors=n_neighbors).fit(rows)
        distances, neighbors = search.kneighbors()
        similarity = _heat(np.square(distances.astype(np.float64))) / n_neighbors
        self.neighbors = torch.as_tensor(neighbors, device=x.device)
        self.similarity = torch.as_tensor(similarity).to(x.device, x.dtype)

    def refresh(
        self, z: Tensor, weight: Tensor | None = None, reduce: Reduce = identity
    ) -> Tensor:
        """Weighted mean of the neighbours, its weight and the rest, (n, d + 2)."""
        out = z.new_empty(len(z), z.shape[1] + 2)
        rows = max(1, _BLOCK_ELEMENTS // (self.neighbors.shape[1] * z.shape[1]))
        for start in range(0, len(z), rows):
            part = slice(start, start + rows)
            s = self.similarity[part]  # (b, m)
            near = z[self.neighbors[part]]  # (b, m, d)
            total = s.sum(dim=1)
            # The similarities of a far outlier may all underflow to 0.
            share = s / total.clamp(min=torch.finfo(s.dtype).tiny)[:, None]
            mean = (share[:, :, None] * near).sum(dim=1)
            spread = (near - mean[:, None]).square().sum(dim=2)
            out[part, :-2], out[part, -2] = mean, total
            out[part, -1] = (s * spread).sum(dim=1)
        return out

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The neighbours, and how near they are."""
        shape = n_rows, min(self.n_neighbors, n_rows - 1)
        return {
            "neighbors": TensorSpec(shape, torch.int64, below=n_rows),
            "similarity": TensorSpec(shape),
        }

    def expected_target(self, n_rows: int, size: int) -> TensorSpec:
        """Means, their weights and the rest."""
        return TensorSpec((n_rows, size + 2))

    def loss(self, batch: Batch) -> Tensor:
        """Weighted squared distances of each row to its neighbours, (b,)."""
        mean, total, rest = self._target_of(batch).split(
            [batch.z.shape[1], 1, 1], dim=1
        )
        squared = (batch.z - mean).square().sum(dim=1)
        return total.squeeze(1) * squared + rest.squeeze(1)


def _heat(squared: np.ndarray) -> np.ndarray:
    """Heat kernel, its width the mean squared distance to a neighbour."""
    width = squared.mean()
    return np.exp(-squared / width) if width > 0 else np.ones_like(squared)
