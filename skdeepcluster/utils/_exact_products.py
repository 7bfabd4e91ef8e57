"""Products of rows whose bits depend on the two rows alone.

A matrix product rounds by the place of a row wherever its kernels sum the last rows of
a block, or the last terms, in another order; which ones do differs between processors
and libraries. Here nothing is left to round: every row is split into slices of whole
numbers so small that sums of their products are exact in float64, in any order. What is
rounded is rounded entry by entry, in one order.

The split is that of K. Ozaki, T. Ogita, S. Oishi and S. M. Rump, "Error-free
transformations of matrix multiplication by using fast routines of matrix multiplication
and its applications", Numerical Algorithms 59, 2012.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Rows = NDArray | sp.csr_matrix

# What slices keep of the largest entry of a row, at least.
_KEPT_BITS = 53


class ExactRows:
    """Rows that others of the same width are multiplied with.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (n, d), float64
        CSR with sorted indices.

    Attributes
    ----------
    exponents : ndarray of shape (n,), int
        The entries of row i are below ``2 ** exponents[i]``.
    squares : ndarray of shape (n,)
        Products of the rows with themselves, as `products` gives them.
    """

    def __init__(self, x: Rows) -> None:
        self.sparse = sp.issparse(x)
        self.shape = x.shape
        self.exponents = row_exponents(x)
        scaled = scaled_rows(x, -self.exponents)
        if self.sparse:
            self._rows = scaled
            self.squares = _sparse_squares(scaled)
            return
        self._bits = _slice_bits(x.shape[1])
        slices = _slices(scaled, self._bits)
        self._used, self._n_slices = _last_used(slices), len(slices)
        self._reversed = np.concatenate(slices[::-1], axis=1)
        self.squares = _dense_squares(slices, self._bits)

    def products(self, other: ExactRows, out: NDArray) -> None:
        """Products of other rows with these, less their exponents.

        Parameters
        ----------
        other : ExactRows of shape (m, d)
            Of the same container.
        out : ndarray of shape (m, n), float64
            Gets ``(other @ self.T) / 2 ** (e_other + e_self)``.
        """
        if self.sparse:
            # Row by row, and within a row term by term.
            out[:] = (other._rows @ self._columns).toarray()
            return
        d, forward, level = self.shape[1], other._forward(), np.empty_like(out)
        out[:] = 0.0
        for total in reversed(range(self._n_slices)):  # the smallest first
            first = max(0, total - self._used)
            stop = min(total, other._used) + 1
            if first >= stop:
                continue  # of zeros only
            at = self._n_slices - 1 - total
            left = forward[:, first * d : stop * d]
            right = self._reversed[:, (at + first) * d : (at + stop) * d]
            np.matmul(left, right.T, out=level)
            level *= 2.0 ** (-self._bits * (total + 2))
            out += level

    @cached_property
    def _columns(self) -> sp.csr_matrix:
        return self._rows.T.tocsr()

    def _forward(self) -> NDArray:
        parts = np.split(self._reversed, self._n_slices, axis=1)
        return np.concatenate(parts[::-1], axis=1)


def row_exponents(x: Rows) -> NDArray:
    """Least exponents of 2 above all entries of each row, (n,); 0 for rows of zeros."""
    if sp.issparse(x):
        largest: Any = abs(x).max(axis=1).toarray().ravel()
    else:
        largest = np.maximum(x.max(axis=1), -x.min(axis=1))
    return np.where(largest > 0, np.frexp(largest)[1], 0).astype(np.int32)


def scaled_rows(x: Rows, exponents: NDArray) -> Rows:
    """Rows times ``2 ** exponents``, exactly, unless they leave the range."""
    if not sp.issparse(x):
        return np.ldexp(x, exponents[:, None])
    values = np.ldexp(x.data, np.repeat(exponents, np.diff(x.indptr)))
    return sp.csr_matrix((values, x.indices, x.indptr), shape=x.shape)


def _slice_bits(width: int) -> int:
    """Bits of a slice: sums of 3/2 times `width` products stay below 2 ** 53."""
    bits = 26
    while 3 * width * 4**bits > 2**54:
        bits -= 1
    return bits


def _slices(scaled: NDArray, bits: int) -> list[NDArray]:
    """Whole numbers a with ``scaled = sum(a[i] * 2 ** -(bits * (i + 1)))``, nearly."""
    slices, rest = [], scaled
    for _ in range(-(-_KEPT_BITS // bits)):
        rest = rest * 2.0**bits
        slices.append(np.rint(rest))
        rest -= slices[-1]
    return slices


def _last_used(slices: list[NDArray]) -> int:
    """Number of the last slice that is not zero; whole numbers fill the first alone."""
    used = [i for i, part in enumerate(slices) if part.any()]
    return used[-1] if used else 0


def _dense_squares(slices: list[NDArray], bits: int) -> NDArray:
    squares = np.zeros(len(slices[0]))
    for total in reversed(range(len(slices))):
        pairs = [slices[i] * slices[total - i] for i in range(total + 1)]
        level = sum(pair.sum(axis=1) for pair in pairs)
        squares += level * 2.0 ** (-bits * (total + 2))
    return squares


def _sparse_squares(scaled: sp.csr_matrix) -> NDArray:
    n = scaled.shape[0]
    rows = np.repeat(np.arange(n), np.diff(scaled.indptr))
    return np.bincount(rows, np.square(scaled.data), minlength=n)
