"""Kernels of rows with training rows, of which a row's bits are its own."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from skdeepcluster.shallow._kernels import OF_DIFFERENCES, OF_PRODUCTS, NamedKernel

KERNELS = (*OF_DIFFERENCES, *OF_PRODUCTS)

# Numbers in a block, which should fit the cache; and its rows.
_BLOCK_ELEMENTS = 2**17
_LEAST_ROWS, _MOST_ROWS = 16, 256


class KernelBlocks:
    """Kernels of any rows with the training rows, block by block.

    Parameters
    ----------
    X_fit : {ndarray, CSR matrix} of shape (n, d)
        The training rows; not looked at with a precomputed kernel.
    kernel : str or callable
    params : dict
        Arguments of the kernel.
    precision : {"float32", "float64"}
        What kernels are rounded to.
    """

    def __init__(self, X_fit, kernel, params, precision):
        self.kernel = kernel
        self.dtype = np.dtype(precision)
        if callable(kernel):
            self._function = _Callable(_float64(X_fit), kernel, params)
        elif kernel == "precomputed":
            self._function = _Precomputed()
        else:
            self._function = NamedKernel(_float64(X_fit), kernel, **params)

    @property
    def exponent(self):
        """Kernels are ``2 ** exponent`` times what all methods return."""
        return self._function.exponent

    def of(self, X, n_fit):
        """Kernels of rows, (m, d) or precomputed, in blocks (b, n_fit), float64."""
        for rows in _slices(X.shape[0], n_fit):
            with np.errstate(all="ignore"):  # answered below
                block = self._function.matrix(_float64(X[rows]))
                block = block.astype(self.dtype, copy=False)
            if not np.isfinite(block).all():
                raise ValueError(
                    "The kernel should be finite, got nan or infinity in "
                    f"{self.dtype} from kernel={self.kernel!r}; scale X first, for "
                    "instance with StandardScaler."
                )
            yield block.astype(np.float64, copy=False)

    def split(self, kernel):
        """Blocks as `of` gives them, from `matrix`, (n, n)."""
        for rows in _slices(*kernel.shape):
            yield kernel[rows].astype(np.float64, copy=False)

    def matrix(self, X):
        """Kernels of the training rows with each other, a tensor of shape (n, n)."""
        n = X.shape[0]
        kernel = np.empty((n, n), dtype=self.dtype)
        for rows, block in zip(_slices(n, n), self.of(X, n), strict=True):
            kernel[rows] = block
        return torch.from_numpy(kernel)

    def squares(self, X):
        """Kernels of rows with themselves, (m,), float64."""
        with np.errstate(all="ignore"):
            return self._function.squares(_float64(X))


class _Precomputed:
    """Rows that are kernels already."""

    exponent = 0.0

    def matrix(self, X):
        return X


class _Callable:
    """A user's function of two rows."""

    exponent = 0.0

    def __init__(self, X_fit, function, params):
        self.function, self.params = function, params
        self.fitted = _single_rows(X_fit)

    def matrix(self, X):
        """Kernels with the training rows, every pair by itself."""
        return np.array(
            [
                [self._pair(row, other) for other in self.fitted]
                for row in _single_rows(X)
            ]
        )

    def squares(self, X):
        """Kernels of rows with themselves."""
        return np.array([self._pair(row, row) for row in _single_rows(X)])

    def _pair(self, row, other):
        return float(self.function(row, other, **self.params))


def _single_rows(X):
    """Rows in memory of their own: where one lies among others has no say."""
    if sp.issparse(X):
        return [X[[i], :] for i in range(X.shape[0])]
    return [row.copy() for row in X]


def _float64(X):
    return X.astype(np.float64, copy=False)


def _slices(n_rows, n_fit):
    step = int(np.clip(_BLOCK_ELEMENTS // n_fit, _LEAST_ROWS, _MOST_ROWS))
    return [slice(start, start + step) for start in range(0, n_rows, step)]
