r"""Nearest neighbours of rows: exact, block by block, whatever the order of the rows.

Products in float32 and a bound of their error leave few candidates for each row;
their distances in float64 decide. With :math:`s_{ij} = x_i^\top x_j - |x_j|^2 / 2` the
nearest rows have the greatest :math:`s`, as
:math:`2 s_{ij} = |x_i|^2 - |x_i - x_j|^2`.

Equal distances are common in real data (counts, pixels, tables of categories), and
rounding makes them differ by a few units in the last place. Distances within the
rounding error are equal here, and among equal ones the first row is the nearer: with
rows in the order of `distinct_rows`, neighbours are a function of the data as a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.neighbors._spaces import METRICS, Space, space_of

# Shape of a block of products (16 MiB in float32).
_BLOCK_ROWS, _BLOCK_COLUMNS = 1024, 4096
# Candidates that are looked at together; a block of rows with more is cut in two.
_MOST_CANDIDATES = 1 << 22
# Candidates of a row, for each neighbour, from which float32 tells too little.
_TOO_MANY = 8
# Scores so near to each other, relative to the squared norm, may be those of ties.
_TIES = 1e-12

#: Pairs of rows: number of the query, number of the row, squared distance.
Pairs = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]


class NeighborSearch:
    """Finds nearest neighbours among given rows.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, d)
        Finite numbers. Not copied but for the products: n * d numbers of float32 on
        the device; CSR in float64.
    metric : {"euclidean", "cosine"}, default="euclidean"
    device : torch.device or str, default="cpu"
        Of the products.
    """

    def __init__(
        self, X: Any, metric: str = "euclidean", device: torch.device | str = "cpu"
    ) -> None:
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}. Got {metric!r}.")
        self.space = space_of(X, metric, torch.device(device))

    def neighbors(
        self, n_neighbors: int, queries: Any = None, *, with_self: bool = False
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Nearest rows of each query, or of each row.

        Parameters
        ----------
        n_neighbors : int
            At most n; of rows without themselves at most n - 1.
        queries : {ndarray, CSR matrix} of shape (m, d), optional
            The rows themselves by default.
        with_self : bool, default=False
            Whether a row is among its own neighbours, as it is among those of a query
            that is equal to it.

        Returns
        -------
        index : ndarray of shape (m, n_neighbors), intp
            The nearest first; of equally near ones, the first.
        distances : ndarray of shape (m, n_neighbors), float64
            In the unit of X; for the cosine, of the unit rows: the square root of
            twice the cosine distance.
        """
        others = self.space if queries is None else self.space.like(queries)
        index = np.empty((len(others), n_neighbors), np.intp)
        squared = np.empty((len(others), n_neighbors))
        alone = queries is None and not with_self
        for rows, pairs in self.candidate_blocks(n_neighbors, others, alone):
            found = in_order(pairs, 2 * others.noise(pairs[0], pairs[2]))
            place = _place_in_row(found[0])
            kept = place < n_neighbors
            index[rows] = found[1][kept].reshape(-1, n_neighbors)
            squared[rows] = found[2][kept].reshape(-1, n_neighbors)
        return index, np.ldexp(np.sqrt(squared), self.space.exponent)

    def candidate_blocks(
        self, n_neighbors: int, queries: Space, alone: bool
    ) -> Iterator[tuple[NDArray[np.intp], Pairs]]:
        """Blocks of queries, with all rows that may be among their neighbours.

        Those equally near as the last neighbour are all there.
        """
        waiting = [
            (np.arange(i, min(i + _BLOCK_ROWS, len(queries))), False)
            for i in range(0, len(queries), _BLOCK_ROWS)
        ][::-1]
        while waiting:
            rows, exact = waiting.pop()
            found = self._candidates(queries, rows, n_neighbors, exact, alone)
            if found is None:
                waiting += [(half, exact) for half in np.array_split(rows, 2)]
                continue
            query, column = found
            if not exact:
                counts = np.bincount(query, minlength=len(rows))
                vague = counts > _TOO_MANY * n_neighbors
                if vague.any():
                    waiting.append((rows[vague], True))
                    kept = ~vague[query]
                    query, column = query[kept], column[kept]
            query = rows[query]
            if len(query):
                squared = queries.squared(query, self.space, column)
                yield np.unique(query), (query, column, squared)

    def _candidates(
        self,
        queries: Space,
        rows: NDArray[np.intp],
        n_neighbors: int,
        exact: bool,
        alone: bool,
    ) -> tuple[NDArray, NDArray] | None:
        """Pairs that may be neighbours; None where there are too many at a time."""
        space = self.space
        error = queries.relative_error(exact) / 2
        margin = torch.from_numpy((2 * error + _TIES) * queries.size[rows])
        best = _Best(n_neighbors, margin)
        for start in range(0, len(space), _BLOCK_COLUMNS):
            columns = slice(start, min(start + _BLOCK_COLUMNS, len(space)))
            scores = queries.products(rows, space, columns, exact)
            sizes = torch.from_numpy(space.size[columns]).to(scores)
            scores -= sizes / 2
            if alone:
                _exclude_own(scores, rows, start)
            best.add(scores, sizes * error, start)
            if best.n_found > _MOST_CANDIDATES and len(rows) > 1:
                return None
        return best.candidates()


class _Best:
    """The best scores so far, and whose scores may be among them.

    Parameters
    ----------
    n_neighbors : int
    margin : Tensor of shape (b,)
        How far under the last of the best scores a score may be that belongs to them,
        but for the doubt of its column.
    """

    def __init__(self, n_neighbors: int, margin: Tensor) -> None:
        self.n_neighbors = n_neighbors
        self.margin = margin[:, None]
        self.least: Tensor | None = None  # least values of the best scores, (b, k)
        self.found: list[tuple[Tensor, Tensor, Tensor]] = []
        self.n_found = 0

    def add(self, scores: Tensor, doubt: Tensor, start: int) -> None:
        """Look at scores, (b, c), of the columns from `start` on, and their doubt."""
        if self.least is None:
            self.margin = self.margin.to(scores)
            self._keep(scores - doubt)
        highest = scores + doubt
        query, column = (highest >= self.threshold()).nonzero(as_tuple=True)
        values = highest[query, column]
        if start:
            self._keep(_padded(values - 2 * doubt[column], query, len(scores)))
        self.found.append((query, column + start, values))
        self.n_found += len(query)

    def threshold(self) -> Tensor:
        """What a score has to reach, (b, 1)."""
        if self.least is None or self.least.shape[1] < self.n_neighbors:
            return torch.full_like(self.margin, -torch.inf)
        least = self.least[:, -1:]
        return least - self.margin - _TIES * least.abs()

    def _keep(self, least: Tensor) -> None:
        if self.least is not None:
            least = torch.cat([self.least, least], dim=1)
        self.least = least.topk(min(self.n_neighbors, least.shape[1])).values

    def candidates(self) -> tuple[NDArray, NDArray]:
        """Those that reach the last threshold."""
        query, column, value = (torch.cat(x) for x in zip(*self.found, strict=True))
        kept = (value >= self.threshold()[query, 0]) & value.isfinite()
        return query[kept].cpu().numpy(), column[kept].cpu().numpy()


def _exclude_own(scores: Tensor, rows: NDArray[np.intp], start: int) -> None:
    """No row is its own neighbour."""
    inside = np.flatnonzero((rows >= start) & (rows < start + scores.shape[1]))
    own = torch.from_numpy(inside), torch.from_numpy(rows[inside] - start)
    scores[own] = -torch.inf


def _padded(values: Tensor, row: Tensor, n_rows: int) -> Tensor:
    """Values of each row side by side, (n_rows, longest); rows ascend."""
    counts = row.bincount(minlength=n_rows)
    place = torch.arange(len(row), device=row.device)
    place -= (counts.cumsum(0) - counts)[row]
    longest = int(counts.max()) if len(row) else 0
    padded = values.new_full((n_rows, longest), -torch.inf)
    padded[row, place] = values
    return padded


def in_order(pairs: Pairs, noise: NDArray[np.float64]) -> Pairs:
    """Sort pairs by query and distance; equally near ones by the number of the row.

    Parameters
    ----------
    pairs : Pairs
    noise : ndarray of shape (n_pairs,)
        Differences of squared distances that say nothing.
    """
    query, row, squared = pairs
    order = np.lexsort((squared, query))
    query, row, squared, noise = query[order], row[order], squared[order], noise[order]
    apart = np.diff(squared) > noise[1:]
    apart |= np.diff(query) > 0
    level = np.concatenate([[0], np.cumsum(apart)])
    order = np.lexsort((row, level))
    return query, row[order], squared[order]


def _place_in_row(query: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many pairs of the same query come before each; queries ascend."""
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    return np.arange(len(query)) - np.repeat(starts, np.diff(starts, append=len(query)))


def nearest_neighbors(
    X: Any,
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    device: torch.device | str = "cpu",
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find the nearest other rows of each row.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, d)
        Finite numbers.
    n_neighbors : int
        At most n - 1.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance between rows.
    device : torch.device or str, default="cpu"
        Of the products; distances are computed on the host.

    Returns
    -------
    index : ndarray of shape (n, n_neighbors), intp
        The nearest first; of equally near ones, the first.
    distances : ndarray of shape (n, n_neighbors), float64
        As `NeighborSearch.neighbors` gives them.
    """
    return NeighborSearch(X, metric, device).neighbors(n_neighbors)
