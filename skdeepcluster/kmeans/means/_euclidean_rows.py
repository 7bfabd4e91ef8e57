"""Rows of data for Euclidean k-means: dense, read in blocks, or CSR, never densified.

`DenseRows` and `SparseRows` answer the same few questions, so that every algorithm is
written once. Dense rows are looked at where they are, on the CPU without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skdeepcluster.kmeans._assignment import (
    MEAN_ERROR,
    explicit_distances,
    nearest_labels,
    squared_distances,
    sums_by_label,
)
from skdeepcluster.kmeans._rows import CANCELLED, row_blocks
from skdeepcluster.kmeans._seeding import distances_to, potentials
from skdeepcluster.kmeans.matrices import own_memory
from skdeepcluster.kmeans.means._twins import first_twins
from skdeepcluster.utils._input import without_zeros
from skdeepcluster.utils._stored import is_mapped

_EPSILON = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Frame:
    """How rows are seen in products: from where, in which unit and arithmetic."""

    origin: Tensor
    unit: float = 1.0
    dtype: torch.dtype = torch.float64

    def rows(self, x: Tensor) -> Tensor:
        """``(x - origin) / unit``."""
        return ((x.to(torch.float64) - self.origin) / self.unit).to(self.dtype)


class DenseRows:
    """Rows of a dense array.

    Parameters
    ----------
    x : ndarray of shape (n, d), float32 or float64
        In memory or mapped; read in blocks, left as it is.
    device : torch.device or str, default="cpu"
        Where sums and products are taken. Memory of another device than the CPU holds
        all rows.
    """

    def __init__(self, x: np.ndarray, device: torch.device | str = "cpu") -> None:
        self.x = x
        self.shape = x.shape
        device = torch.device(device)
        # Apple's GPUs have no float64.
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.tensor = _look_at(x).to(self.device)

    def __len__(self) -> int:
        return int(self.shape[0])

    def nearest(self, centers: Tensor) -> Tensor:
        """Nearest of the centres, (k, d), for each row; the first of several."""
        return nearest_labels(self.tensor, centers, rounded=True)

    def own_distances(self, centers: Tensor, labels: Tensor) -> Tensor:
        """Squared distances to the centres of the labels, (n,)."""
        return squared_distances(self.tensor, centers, labels)

    def distances(self, centers: Tensor) -> Tensor:
        """Squared distances to all centres, (n, k), a row's bits its own."""
        blocks = row_blocks(len(self), self.shape[1] * len(centers))
        parts = [explicit_distances(self.tensor[rows], centers) for rows in blocks]
        return torch.cat(parts).square_()

    def sums(
        self, labels: Tensor, n_clusters: int, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Weighted sums of the rows by label, (k, d), and the sums of weights, (k,)."""
        return sums_by_label(self.tensor, labels, n_clusters, weight)

    def products(
        self, directions: Tensor, frame: Frame
    ) -> Iterator[tuple[slice, Tensor]]:
        """Slices with products of the rows, as framed, (b, k), float64, rounded."""
        directions = directions.to(frame.dtype)
        for rows in row_blocks(len(self), max(self.shape[1], len(directions))):
            seen = frame.rows(self.tensor[rows])
            yield rows, (seen @ directions.T).to(torch.float64)

    def mixed_sums(self, y: Tensor, frame: Frame) -> Tensor:
        """``y.T @ x`` of the rows, as framed, (k, d), float64."""
        out = y.new_zeros(y.shape[1], self.shape[1])
        for rows in row_blocks(len(self), max(self.shape[1], y.shape[1])):
            seen = frame.rows(self.tensor[rows])
            out += y[rows].to(frame.dtype).T @ seen
        return out

    def gather(self, index: Tensor) -> Tensor:
        """Rows as dense float64, (m, d)."""
        return self.tensor[index.to(self.device)].to(torch.float64)

    def keys(self, direction: Tensor) -> Tensor:
        """Products of the rows with a direction, (d,), the same for equal rows."""
        keys = torch.empty(len(self), dtype=torch.float64, device=self.device)
        direction = direction.to(self.device)
        for rows in row_blocks(*self.shape):
            keys[rows] = (self.tensor[rows].to(torch.float64) * direction).sum(1)
        return keys

    def distances_to(self, row: int) -> Tensor:
        """Squared distances to a row, (n,); exactly 0 for its copies."""
        return distances_to(self.tensor, self.tensor[row].to(torch.float64))

    def potentials(self, index: Tensor, closest: Tensor, weight: Tensor) -> Tensor:
        """Weighted sums of the smaller of `closest` and distances to rows, (t,)."""
        return potentials(self.tensor, self.gather(index), closest, weight)

    def twins(self) -> Tensor:
        """Index of the first row equal to each, (n,)."""
        return first_twins(self.x)


class SparseRows:
    """Rows of a CSR matrix; everything on the CPU.

    Rows are multiplied one after the other, so that a row's products are its own.

    Parameters
    ----------
    x : CSR matrix of shape (n, d), float32 or float64
        Left as it is.
    """

    def __init__(self, x: sp.csr_matrix) -> None:
        self.x = x = without_zeros(x)
        self.shape = x.shape
        self.device = torch.device("cpu")
        rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        squares = np.square(x.data, dtype=np.float64)
        norms = np.bincount(rows, squares, minlength=x.shape[0])
        self._squares = torch.from_numpy(norms)  # (n,)

    def __len__(self) -> int:
        return int(self.shape[0])

    def nearest(self, centers: Tensor) -> Tensor:
        """Nearest of the centres, (k, d), for each row; the first of several.

        Where rounding could mislead, differences decide, as for dense rows.
        """
        origin = centers.mean(0)
        moved = centers - origin
        half_norms = moved.square().sum(1) / 2 + moved @ origin
        length = float(moved.norm(dim=1).max())
        farthest = float(centers.norm(dim=1).max())
        tolerance = 8 * (self.shape[1] + 8) * _EPSILON * length
        tolerance += 4 * MEAN_ERROR * farthest
        scale = self._squares.sqrt() + float(origin.norm()) + length
        scores = self._products(moved).sub_(half_norms)
        near = scores >= (scores.amax(1) - tolerance * scale)[:, None]
        labels = near.to(torch.uint8).argmax(1)
        unsure = (near.sum(1) > 1).nonzero().squeeze(1)
        for part in row_blocks(len(unsure), self.shape[1]):
            rows = unsure[part]
            labels[rows] = nearest_labels(self.gather(rows), centers, rounded=True)
        return labels

    def own_distances(self, centers: Tensor, labels: Tensor) -> Tensor:
        """Squared distances to the centres of the labels, (n,)."""
        norms = centers.square().sum(1)[labels]
        products = torch.empty(len(self), dtype=torch.float64)
        for rows in row_blocks(len(self), max(1, len(centers))):
            products[rows] = self._entry_products(rows, centers, labels[rows])
        return self._settled(norms - 2 * products, norms, centers, labels)

    def distances(self, centers: Tensor) -> Tensor:
        """Squared distances to all centres, (n, k), a row's bits its own."""
        norms = centers.square().sum(1)
        out = norms - 2 * self._products(centers)
        for j in range(len(centers)):
            labels = torch.full((len(self),), j)
            out[:, j] = self._settled(out[:, j], norms[labels], centers, labels)
        return out

    def sums(
        self, labels: Tensor, n_clusters: int, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Weighted sums of the rows by label, (k, d), and the sums of weights, (k,)."""
        values = np.ones(len(self)) if weight is None else weight.numpy()
        parts = values, labels.numpy(), np.arange(len(self) + 1)
        memberships = sp.csr_matrix(parts, shape=(len(self), n_clusters))
        sums = (memberships.T.tocsr() @ self.x).toarray()
        masses = torch.bincount(labels, weight, minlength=n_clusters)
        return torch.from_numpy(sums), masses.to(torch.float64)

    def products(
        self, directions: Tensor, frame: Frame
    ) -> Iterator[tuple[slice, Tensor]]:
        """Slices with products of the rows, as framed, (b, k), float64, rounded."""
        products = self._products(directions).sub_(directions @ frame.origin)
        yield slice(0, len(self)), products.div_(frame.unit)

    def mixed_sums(self, y: Tensor, frame: Frame) -> Tensor:
        """``y.T @ x`` of the rows, as framed, (k, d), float64."""
        sums = torch.from_numpy(np.ascontiguousarray((self.x.T @ y.numpy()).T))
        return (sums - y.sum(0)[:, None] * frame.origin) / frame.unit

    def gather(self, index: Tensor) -> Tensor:
        """Rows as dense float64, (m, d)."""
        return torch.from_numpy(self.x[index.numpy()].astype(np.float64).toarray())

    def keys(self, direction: Tensor) -> Tensor:
        """Products of the rows with a direction, (d,), the same for equal rows."""
        return self._products(direction[None])[:, 0]

    def distances_to(self, row: int) -> Tensor:
        """Squared distances to a row, (n,); exactly 0 for its copies."""
        center = self.gather(torch.tensor([row]))
        labels = torch.zeros(len(self), dtype=torch.int64)
        return self.own_distances(center, labels)

    def potentials(self, index: Tensor, closest: Tensor, weight: Tensor) -> Tensor:
        """Weighted sums of the smaller of `closest` and distances to rows, (t,)."""
        candidates = self.gather(index)
        distances = candidates.square().sum(1) - 2 * self._products(candidates)
        distances += self._squares[:, None]
        return weight @ distances.clamp_(min=0).minimum(closest[:, None])

    def twins(self) -> Tensor:
        """Index of the first row equal to each, (n,)."""
        return first_twins(self.x)

    def _products(self, directions: Tensor) -> Tensor:
        """Products of all rows with directions, (n, k), float64."""
        other = np.ascontiguousarray(directions.numpy().T)
        return torch.from_numpy(np.asarray(self.x @ other))

    def _entry_products(self, rows: slice, centers: Tensor, labels: Tensor) -> Tensor:
        """Products of rows with the centres of their labels, (b,)."""
        x = self.x[rows]
        at = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        terms = x.data * centers.numpy()[labels.numpy()[at], x.indices]
        return torch.from_numpy(np.bincount(at, terms, minlength=x.shape[0]))

    def _settled(
        self, reduced: Tensor, norms: Tensor, centers: Tensor, labels: Tensor
    ) -> Tensor:
        """Squared distances, those that cancelled from differences."""
        distances = reduced + self._squares
        lost = distances <= CANCELLED * (self._squares + norms)
        lost = lost.nonzero().squeeze(1)
        for part in row_blocks(len(lost), self.shape[1]):
            rows = lost[part]
            differences = self.gather(rows) - centers[labels[rows]]
            distances[rows] = differences.square().sum(1)
        return distances


def as_rows(
    x: np.ndarray | sp.csr_matrix, device: torch.device | str = "cpu"
) -> DenseRows | SparseRows:
    """Wrap validated rows for Euclidean k-means; sparse ones stay on the CPU."""
    return SparseRows(x) if sp.issparse(x) else DenseRows(x, device)


class _Writable:
    """What numpy takes for memory that may be written to, which nobody does."""

    def __init__(self, x: np.ndarray) -> None:
        interface = x.__array_interface__
        self.owner = x
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _look_at(x: np.ndarray) -> Tensor:
    """Tensor of an array: of a mapped file too without reading it."""
    plain = x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative
    if is_mapped(x) and plain and x.size:
        # torch warns of memory that is read-only.
        return torch.from_numpy(np.asarray(_Writable(x)))
    return torch.from_numpy(own_memory(x))
