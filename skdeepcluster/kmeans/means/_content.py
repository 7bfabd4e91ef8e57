"""An order of rows by what they hold, whatever their place and container."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.kmeans._rows import row_blocks
from skdeepcluster.kmeans.means._twins import first_twins
from skdeepcluster.utils._exact_products import ExactRows

_SEED = 0  # of the direction along which rows are ordered, the same for all data


def content_rank(x: NDArray | sp.csr_matrix) -> Tensor:
    """Place of each row in an order of their contents, (n,), int64.

    Rows are ordered along one random direction, with columns in the unit of their
    largest entry: so the rounding of a scaled column moves none but rows that are as
    good as equal. Rows that are equal along it are compared entry by entry.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (n, d)
        CSR with sorted indices, and without stored zeros.

    Returns
    -------
    rank : Tensor of shape (n,), int64
        Equal rows follow each other.
    """
    keys = _keys(x)
    order = np.argsort(keys, kind="stable")
    for tied in _tied(keys[order]):
        order[tied] = order[tied][_order_of_entries(x[order[tied]])]
    return rank_of(order)


def _order_of_entries(x: Any) -> NDArray:
    """Order of rows by their entries; of equal ones, one is looked at."""
    first, kind = np.unique(first_twins(x).numpy(), return_inverse=True)
    if len(first) == 1:
        return np.arange(x.shape[0])
    rows = x[first]
    if sp.issparse(rows):  # where all are zero none differ
        rows = rows[:, np.unique(rows.indices)].toarray()
    rank = np.argsort(np.lexsort(rows.T[::-1]))
    return np.argsort(rank[kind.ravel()], kind="stable")


def rank_of(order: NDArray) -> Tensor:
    """Place of each point in an order."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return torch.from_numpy(rank)


def _tied(ordered: NDArray) -> list[slice]:
    """Slices of several equal numbers."""
    ends = np.flatnonzero(np.diff(ordered)) + 1
    bounds = zip([0, *ends], [*ends, len(ordered)], strict=True)
    return [slice(start, stop) for start, stop in bounds if stop - start > 1]


def _keys(x: Any) -> NDArray:
    """Products with the direction, (n,)."""
    generator = np.random.default_rng(_SEED)
    direction = generator.standard_normal(x.shape[1])
    return (_sparse_keys if sp.issparse(x) else _dense_keys)(x, direction)


def _sparse_keys(x: sp.csr_matrix, direction: NDArray) -> NDArray:
    largest = abs(x).max(axis=0).toarray().ravel().astype(np.float64)
    largest[largest == 0] = 1.0
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    terms = x.data / largest[x.indices] * direction[x.indices]
    return np.bincount(rows, terms, minlength=x.shape[0])


def _dense_keys(x: NDArray, direction: NDArray) -> NDArray:
    largest = np.maximum(x.max(axis=0), -x.min(axis=0)).astype(np.float64)
    largest[largest == 0] = 1.0
    along, keys = ExactRows(direction[None]), np.empty((len(x), 1))
    for part in row_blocks(*x.shape):
        seen = ExactRows(x[part].astype(np.float64) / largest)
        along.products(seen, keys[part])
        keys[part] = np.ldexp(keys[part], seen.exponents[:, None])
    return keys[:, 0]
