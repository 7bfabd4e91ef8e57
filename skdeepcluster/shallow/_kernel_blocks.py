"""Kernels of rows with training rows, of which a row's bits are its own."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.metrics.pairwise import pairwise_kernels

KERNELS = (
    "additive_chi2",
    "chi2",
    "cosine",
    "laplacian",
    "linear",
    "poly",
    "rbf",
    "sigmoid",
)

# Matrix products of one shape round all rows alike in float64 (measured, OpenBLAS).
_BLOCK_ROWS = 256


class KernelBlocks:
    """Kernels of any rows with the training rows, block by block.

    Parameters
    ----------
    X_fit : {ndarray, CSR matrix} of shape (n, d)
        The training rows; not looked at with a precomputed kernel.
    kernel : str or callable
    params : dict
        Arguments of the kernel; None leaves its default.
    precision : {"float32", "float64"}
        What kernels are rounded to.
    """

    def __init__(self, X_fit, kernel, params, precision):
        self.kernel = kernel
        self.params = {name: v for name, v in params.items() if v is not None}
        self.dtype = np.dtype(precision)
        self._precomputed = isinstance(kernel, str) and kernel == "precomputed"
        self.X_fit = None if self._precomputed else _float64(X_fit)

    def of(self, X):
        """Kernels of rows, (m, d) or precomputed, in blocks (b, n), float64."""
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            block = self._evaluate(X[start : start + _BLOCK_ROWS])
            yield block.astype(self.dtype, copy=False).astype(np.float64, copy=False)

    def split(self, kernel):
        """Blocks as `of` gives them, from `matrix`, (n, n)."""
        for start in range(0, len(kernel), _BLOCK_ROWS):
            yield kernel[start : start + _BLOCK_ROWS].astype(np.float64, copy=False)

    def matrix(self, X):
        """Kernels of the training rows with each other, a tensor of shape (n, n)."""
        kernel = np.empty((X.shape[0], X.shape[0]), dtype=self.dtype)
        with np.errstate(over="ignore"):  # answered below
            for number, block in enumerate(self.of(X)):
                start = number * _BLOCK_ROWS
                kernel[start : start + len(block)] = block
        if not np.isfinite(kernel).all():
            raise ValueError(
                f"The kernel should be finite, got nan or infinity in {self.dtype} "
                f"from kernel={self.kernel!r}; scale X first, for instance with "
                "StandardScaler."
            )
        return torch.from_numpy(kernel)

    def squares(self, X):
        """Kernels of rows with themselves, (m,), float64."""
        if callable(self.kernel):
            rows = _float64(X)
            own = [
                self._pairs(rows[i : i + 1], rows[i : i + 1]) for i in range(X.shape[0])
            ]
            return np.concatenate(own).ravel()
        parts = []
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            block, n_rows = _padded(_float64(X[start : start + _BLOCK_ROWS]))
            # Of a matrix with itself numpy takes another product, of other bits.
            parts.append(self._pairs(block, block.copy()).diagonal()[:n_rows])
        return np.concatenate(parts)

    def _evaluate(self, block):
        if self._precomputed:
            return block
        block, n_rows = _float64(block), block.shape[0]
        if not callable(self.kernel):  # of which every pair is evaluated by itself
            block, n_rows = _padded(block)
        return self._pairs(block, self.X_fit)[:n_rows]

    def _pairs(self, X, Y):
        named = not callable(self.kernel)
        kernel = pairwise_kernels(
            X, Y, metric=self.kernel, filter_params=named, **self.params
        )
        return np.asarray(kernel, dtype=np.float64)


def _float64(X):
    return X.astype(np.float64, copy=False)


def _padded(block):
    """Rows of a block and their number, the last one repeated to the full size."""
    n_rows = block.shape[0]
    if sp.issparse(block) or n_rows == _BLOCK_ROWS:
        return block, n_rows
    missing = _BLOCK_ROWS - n_rows
    return np.concatenate([block, np.repeat(block[-1:], missing, axis=0)]), n_rows
