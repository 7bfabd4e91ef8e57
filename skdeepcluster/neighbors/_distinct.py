"""Equal rows once, in an order that their contents decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_DIGEST_BYTES = 16  # two different rows of one digest are not to be feared
_BLOCK_BYTES = 1 << 25


@dataclass(frozen=True)
class DistinctRows:
    """Which rows are equal.

    Parameters
    ----------
    first : ndarray of shape (m,), intp
        A row of each kind. The kinds come in an order that looks random but depends on
        their values alone: whoever breaks ties by it does so whatever the order, the
        dtype, the container, the scale or the origin of the rows.
    kind : ndarray of shape (n,), intp
        The kind of each row.
    """

    first: NDArray[np.intp]
    kind: NDArray[np.intp]

    def mass(self, weight: NDArray | None = None) -> NDArray[np.float64]:
        """Number of rows of each kind, or their total weight, (m,)."""
        return np.bincount(self.kind, weight, minlength=len(self.first)).astype(float)


def distinct_rows(X: NDArray | sp.csr_matrix) -> DistinctRows:
    """Find the rows that are equal, without comparing pairs.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, d)
        Finite numbers. CSR without stored zeros, indices sorted.

    Returns
    -------
    distinct : DistinctRows
    """
    first, kind = equal_rows(X)
    order = _own_order(X[first])
    return DistinctRows(first[order], np.argsort(order)[kind])


def equal_rows(X: NDArray | sp.csr_matrix) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the rows that are equal; the kinds come in no order that means anything.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, d)
        As for `distinct_rows`.

    Returns
    -------
    first : ndarray of shape (m,), intp
        The first row of each kind.
    kind : ndarray of shape (n,), intp
        The kind of each row.
    """
    contents = _sparse_contents(X) if sp.issparse(X) else _dense_contents(X)
    digests = np.array([_digest(parts) for parts in contents], f"V{_DIGEST_BYTES}")
    _, first, kind = np.unique(digests, return_index=True, return_inverse=True)
    return first, kind.ravel()


def _own_order(X: NDArray | sp.csr_matrix) -> NDArray[np.intp]:
    """An order of different rows that depends on their values alone.

    Along some direction they have an order that neither scale nor origin changes. It is
    shuffled, the same way for the same number of rows: neighbours would be preferred on
    one side otherwise.
    """
    size = abs(X).max()
    unit = np.ldexp(1.0, -int(np.frexp(size)[1]) // 2)  # twice, to stay in range
    direction = np.random.default_rng(X.shape[1]).uniform(0.5, 1.5, X.shape[1])
    along = np.empty(X.shape[0])
    step = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
    for start in range(0, X.shape[0], step):
        block = X[start : start + step].astype(np.float64) * unit * unit
        along[start : start + step] = block @ direction
    return along.argsort(kind="stable")[
        np.random.default_rng(X.shape[0]).permutation(X.shape[0])
    ]


def _digest(parts: tuple[NDArray, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part.data)
    return digest.digest()


def _dense_contents(X: NDArray) -> Iterator[tuple[NDArray, ...]]:
    size = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
    for start in range(0, len(X), size):
        # In float64, as one value may come in several dtypes; minus zero is zero.
        block = np.array(X[start : start + size], np.float64, order="C") + 0.0
        yield from ((row,) for row in block)


def _sparse_contents(X: sp.csr_matrix) -> Iterator[tuple[NDArray, ...]]:
    data = X.data.astype(np.float64, copy=False)
    columns = X.indices.astype(np.int64, copy=False)
    starts = X.indptr.tolist()
    for start, stop in zip(starts[:-1], starts[1:], strict=True):
        yield columns[start:stop], data[start:stop]
